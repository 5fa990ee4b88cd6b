package lint_test

import (
	"math/rand/v2"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/world"
)

// drawnApp is a clean AppTier in a whole cluster: a chain of tiers behind a load balancer, each with a
// Service, and an agreement with a tier of another AppTier.
type drawnApp struct {
	*drawn
	app, partner *v1alpha1.AppTier
}

const partnerNamespace = "partner"

func drawApp(seed uint64) *drawnApp {
	d := &drawnApp{drawn: &drawn{Rand: rand.New(rand.NewPCG(seed, 2))}}
	d.world.Whole, d.world.Known = true, world.Parts{Namespaces: true, AppTiers: true, Pods: true, Services: true, Policies: true}
	for _, name := range []string{namespace, "kube-system", "monitoring", partnerNamespace, "default"} {
		d.world.Namespaces = append(d.world.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	d.world.Namespaces[2].Labels = map[string]string{"purpose": "monitoring"}
	d.pod("monitoring", "prometheus", map[string]string{"app": "prometheus"}, 9090)
	d.pod(namespace, "admin", map[string]string{"app": "admin"}, 8000)
	d.app = &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "storefront"}}
	names := []string{"frontend", "catalogue", "payments", "shipping", "database"}[d.IntN(3):]
	for i, name := range names {
		d.tier(name, int32(8000+10*i+d.IntN(5)))
		if i > 0 {
			rule := v1alpha1.IngressRule{From: []v1alpha1.Peer{{Tier: &names[i-1]}}}
			if d.IntN(2) == 0 {
				rule.Ports = []v1alpha1.RulePort{{Port: intstr.FromString("http")}}
			}
			d.app.Spec.Tiers[i].Ingress = []v1alpha1.IngressRule{rule}
		}
	}
	d.outside(&d.app.Spec.Tiers[0])
	d.last().Ingress = append(d.last().Ingress, v1alpha1.IngressRule{From: []v1alpha1.Peer{{Pods: &v1alpha1.PodsPeer{PodSelector: *selector("app", "admin")}}}})
	d.last().Egress = append(d.last().Egress, v1alpha1.EgressRule{To: []v1alpha1.Peer{{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{"203.0.113.0/24"}}}}, Ports: numbered(443)})
	d.app.Spec.EveryTier = &v1alpha1.EveryTier{Ingress: []v1alpha1.IngressRule{{
		From:  []v1alpha1.Peer{{Pods: &v1alpha1.PodsPeer{NamespaceSelector: selector("purpose", "monitoring"), PodSelector: *selector("app", "prometheus")}}},
		Ports: numbered(8999),
	}}}
	d.agreement()
	d.world.AppTiers = []*v1alpha1.AppTier{d.app, d.partner}
	return d
}

func numbered(port int32) []v1alpha1.RulePort {
	return []v1alpha1.RulePort{{Port: intstr.FromInt32(port)}}
}

// tier adds a tier, its pod, and its Service on port 80.
func (d *drawnApp) tier(name string, port int32) {
	pod := d.pod(namespace, name+"-0", map[string]string{"app": "storefront", "tier": name, "release": "v1"}, port)
	pod.Spec.Containers[0].Ports = append(pod.Spec.Containers[0].Ports, corev1.ContainerPort{Name: "health", ContainerPort: 8999})
	pod.Spec.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("health")}}}
	d.service(namespace, name, map[string]string{"app": "storefront", "tier": name}, 80, port)
	d.app.Spec.Tiers = append(d.app.Spec.Tiers, v1alpha1.Tier{
		Name:        name,
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "storefront", "tier": name}},
		Ports:       []v1alpha1.TierPort{{Name: "http", Port: port}},
	})
}

// outside opens a tier to the internet through a load balancer, which probes another port.
func (d *drawnApp) outside(tier *v1alpha1.Tier) {
	service := d.world.Services[0]
	service.Spec.Type = corev1.ServiceTypeLoadBalancer
	service.Annotations = map[string]string{"service.beta.kubernetes.io/aws-load-balancer-healthcheck-port": "8999"}
	tier.Ports = append(tier.Ports, v1alpha1.TierPort{Name: "health", Port: 8999})
	from := []v1alpha1.Peer{{Internet: &v1alpha1.InternetPeer{}}}
	if d.IntN(2) == 0 {
		from = append(from, v1alpha1.Peer{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{"35.191.0.0/16"}}})
	}
	tier.Ingress = append(tier.Ingress, v1alpha1.IngressRule{From: from})
}

// agreement has the second tier connect to another AppTier's, and the last to a Service there.
func (d *drawnApp) agreement() {
	d.pod(partnerNamespace, "ledger-0", map[string]string{"tier": "ledger"}, 7000)
	d.pod(partnerNamespace, "books-0", map[string]string{"app": "books"}, 7100)
	d.service(partnerNamespace, "bookkeeping", map[string]string{"app": "books"}, 80, 7100)
	sender := &d.app.Spec.Tiers[1]
	d.partner = &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: partnerNamespace, Name: "accounting"}}
	d.partner.Spec.Tiers = []v1alpha1.Tier{{
		Name: "ledger", PodSelector: *selector("tier", "ledger"), Ports: []v1alpha1.TierPort{{Port: 7000}},
		Ingress: []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{AppTier: &v1alpha1.AppTierReference{Namespace: namespace, Name: d.app.Name, Tier: sender.Name}}}}},
	}}
	sender.Egress = append(sender.Egress, v1alpha1.EgressRule{To: []v1alpha1.Peer{{AppTier: &v1alpha1.AppTierReference{Namespace: partnerNamespace, Name: "accounting", Tier: "ledger"}}}})
	d.last().Egress = append(d.last().Egress, v1alpha1.EgressRule{To: []v1alpha1.Peer{{Service: &v1alpha1.ServiceReference{Namespace: partnerNamespace, Name: "bookkeeping"}}}})
}

func (d *drawnApp) last() *v1alpha1.Tier { return &d.app.Spec.Tiers[len(d.app.Spec.Tiers)-1] }

// two returns a tier, with the one after it.
func (d *drawnApp) two() (tier, next *v1alpha1.Tier) {
	i := d.IntN(len(d.app.Spec.Tiers) - 1)
	return &d.app.Spec.Tiers[i], &d.app.Spec.Tiers[i+1]
}

// podOf is a tier's.
func (d *drawnApp) podOf(tier *v1alpha1.Tier) *corev1.Pod {
	return d.world.Pods[slices.IndexFunc(d.world.Pods, func(pod *corev1.Pod) bool { return pod.Name == tier.Name+"-0" })]
}

// beside adds an AppTier to the namespace.
func (d *drawnApp) beside(spec v1alpha1.AppTierSpec) {
	d.world.AppTiers = append(d.world.AppTiers, &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "beside"}, Spec: spec})
}

// reaching adds an egress rule to a tier.
func (d *drawnApp) reaching(tier *v1alpha1.Tier, peer v1alpha1.Peer) {
	tier.Egress = append(tier.Egress, v1alpha1.EgressRule{To: []v1alpha1.Peer{peer}, Ports: numbered(443)})
}

func networks(cidrs ...string) v1alpha1.Peer {
	return v1alpha1.Peer{Networks: &v1alpha1.NetworksPeer{CIDRs: cidrs}}
}

func everyone() v1alpha1.Peer { return v1alpha1.Peer{Everyone: &v1alpha1.EveryonePeer{}} }

func perimeter() v1alpha1.AppTierSpec {
	return v1alpha1.AppTierSpec{Isolation: v1alpha1.Isolation{Scope: v1alpha1.ScopeNamespace, SameNamespace: v1alpha1.SameNamespaceAllow}}
}

func backwards() *int32 { return ptr.To[int32](100) }
