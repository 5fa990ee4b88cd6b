package lint_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// drawn is a clean set of manifests of one application, in a whole cluster: a chain of components,
// each with its policies, and an AppTier beside them.
type drawn struct {
	*rand.Rand
	world      world.World
	components []component
}

// component is a part of the application, and how it is written down.
type component struct {
	name          string
	port, service int32
	policy        *networkingv1.NetworkPolicy
}

const namespace = "store"

func drawSet(seed uint64) *drawn {
	d := &drawn{Rand: rand.New(rand.NewPCG(seed, 1))}
	d.world.Whole, d.world.Known = true, world.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}
	for _, name := range []string{namespace, "kube-system", "monitoring", "ingress-nginx", "default"} {
		d.world.Namespaces = append(d.world.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	d.world.Namespaces[2].Labels = map[string]string{"purpose": "monitoring"}
	dns := d.pod("kube-system", "kube-dns-7d", map[string]string{"k8s-app": "kube-dns"}, 53)
	dns.Spec.Containers[0].Ports[0].Protocol = corev1.ProtocolUDP
	d.service("kube-system", "kube-dns", dns.Labels, 53, 53).Spec.Ports[0].Protocol = corev1.ProtocolUDP
	d.pod("monitoring", "prometheus", map[string]string{"app": "prometheus"}, 9090)
	d.pod("monitoring", "grafana", map[string]string{"app": "grafana"}, 3000)
	d.pod("ingress-nginx", "controller", map[string]string{"app": "controller"}, 8443)
	d.appTier()
	d.application()
	return d
}

// appTier adds an AppTier whose tiers are beside the application's components.
func (d *drawn) appTier() {
	tier := func(name string, from ...v1alpha1.Peer) v1alpha1.Tier {
		d.pod(namespace, name, map[string]string{"tier": name}, 7000)
		t := v1alpha1.Tier{Name: name, PodSelector: *selector("tier", name), Ports: []v1alpha1.TierPort{{Name: "http", Port: 7000}}}
		if len(from) > 0 {
			t.Ingress = []v1alpha1.IngressRule{{From: from}}
		}
		return t
	}
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ledger"}}
	app.Spec.Tiers = []v1alpha1.Tier{
		tier("books", v1alpha1.Peer{Internet: &v1alpha1.InternetPeer{}}),
		tier("vault", v1alpha1.Peer{Tier: ptr.To("books")}),
	}
	d.world.Generated = expand.NetworkPolicies(app, expand.DefaultEnvironment())
}

// application adds components, each of which the one before connects to.
func (d *drawn) application() {
	names := []string{"frontend", "catalogue", "payments", "shipping", "database"}[d.IntN(3):]
	for i, name := range names {
		c := component{name: name, port: int32(8000 + 10*i + d.IntN(5)), service: 80}
		pod := d.pod(namespace, name+"-0", map[string]string{"app": name, "release": "v1"}, c.port)
		pod.Spec.Containers[0].Ports = append(pod.Spec.Containers[0].Ports, corev1.ContainerPort{Name: "health", ContainerPort: 8999})
		d.service(namespace, name, map[string]string{"app": name}, c.service, c.port)
		c.policy = d.add(name, selector("app", name), networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
		d.components = append(d.components, c)
	}
	for i := range d.components[1:] {
		d.connect(&d.components[i], &d.components[i+1])
	}
	d.front(&d.components[0])
	last := d.components[len(d.components)-1].policy
	last.Spec.Egress = append(last.Spec.Egress, networkingv1.NetworkPolicyEgressRule{
		To: []networkingv1.NetworkPolicyPeer{{IPBlock: internet4()}}, Ports: ports(443),
	})
	for i := range d.components {
		policy := d.components[i].policy
		policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{
			From:  []networkingv1.NetworkPolicyPeer{{NamespaceSelector: selector("purpose", "monitoring"), PodSelector: selector("app", "prometheus")}},
			Ports: ports(8999),
		})
	}
	d.addDNS()
	if d.IntN(2) == 0 {
		d.add("default-deny", &metav1.LabelSelector{}, networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	}
}

// connect allows a connection at both of its ends.
func (d *drawn) connect(from, to *component) {
	port := ports(to.port)
	if d.IntN(3) == 0 {
		port[0].Port = ptr.To(intstr.FromString("http"))
	}
	to.policy.Spec.Ingress = append(to.policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{
		From: []networkingv1.NetworkPolicyPeer{{PodSelector: selector("app", from.name)}}, Ports: port,
	})
	from.policy.Spec.Egress = append(from.policy.Spec.Egress, networkingv1.NetworkPolicyEgressRule{
		To: []networkingv1.NetworkPolicyPeer{{PodSelector: selector("app", to.name)}}, Ports: port,
	})
}

// front opens a component to the world through a load balancer, which probes another port.
func (d *drawn) front(c *component) {
	service := d.world.Services[1]
	service.Spec.Type = corev1.ServiceTypeLoadBalancer
	service.Annotations = map[string]string{"service.beta.kubernetes.io/aws-load-balancer-healthcheck-port": "8999"}
	c.policy.Spec.Ingress = append(c.policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{
		From: []networkingv1.NetworkPolicyPeer{
			{IPBlock: internet4()},
			{IPBlock: &networkingv1.IPBlock{CIDR: "::/0", Except: []string{"fc00::/7", "fe80::/10"}}},
		},
		Ports: ports(c.port, 8999),
	})
}

// addDNS allows DNS to all at once, or to each component.
func (d *drawn) addDNS() {
	if d.IntN(2) == 0 {
		policy := d.add("dns", &metav1.LabelSelector{}, networkingv1.PolicyTypeEgress)
		policy.Spec.Egress = append(policy.Spec.Egress, dnsRule())
		return
	}
	for _, c := range d.components {
		c.policy.Spec.Egress = append(c.policy.Spec.Egress, dnsRule())
	}
}

func dnsRule() networkingv1.NetworkPolicyEgressRule {
	rule := networkingv1.NetworkPolicyEgressRule{
		To:    []networkingv1.NetworkPolicyPeer{{NamespaceSelector: selector(corev1.LabelMetadataName, "kube-system"), PodSelector: selector("k8s-app", "kube-dns")}},
		Ports: ports(53, 53),
	}
	rule.Ports[0].Protocol = ptr.To(corev1.ProtocolUDP)
	return rule
}

func internet4() *networkingv1.IPBlock {
	return &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}}
}

func ports(numbers ...int32) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, number := range numbers {
		out = append(out, networkingv1.NetworkPolicyPort{Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(intstr.FromInt32(number))})
	}
	return out
}

func selector(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

func (d *drawn) pod(namespace, name string, labels map[string]string, port int32) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
	pod.Spec.Containers = []corev1.Container{{Name: "main", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: port}}}}
	pod.Status.PodIP = fmt.Sprintf("10.244.0.%d", 2+len(d.world.Pods))
	d.world.Pods = append(d.world.Pods, pod)
	return pod
}

func (d *drawn) service(namespace, name string, selector map[string]string, port, target int32) *corev1.Service {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	service.Spec.Selector = selector
	service.Spec.Ports = []corev1.ServicePort{{Port: port, TargetPort: intstr.FromInt32(target)}}
	d.world.Services = append(d.world.Services, service)
	return service
}

func (d *drawn) add(name string, selector *metav1.LabelSelector, types ...networkingv1.PolicyType) *networkingv1.NetworkPolicy {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	policy.Spec.PodSelector, policy.Spec.PolicyTypes = *selector, types
	d.world.Policies = append(d.world.Policies, policy)
	return policy
}

// findings judges every policy of the set among the others.
func (d *drawn) findings() []check.Finding {
	var out []check.Finding
	for _, policy := range d.world.Policies {
		out = append(out, lint.NetworkPolicy(policy, d.world)...)
	}
	return out
}

// typo swaps two letters of a word.
func (d *drawn) typo(word string) string {
	i := d.IntN(len(word) - 1)
	for word[i] == word[i+1] {
		i = (i + 1) % (len(word) - 1)
	}
	return strings.Join([]string{word[:i], word[i+1 : i+2], word[i : i+1], word[i+2:]}, "")
}
