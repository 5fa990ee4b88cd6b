package expand_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
)

// parseAppTier reads a valid AppTier.
func parseAppTier(t *testing.T, text string) *v1alpha1.AppTier {
	t.Helper()
	var app v1alpha1.AppTier
	if err := yaml.UnmarshalStrict([]byte(text), &app); err != nil {
		t.Fatal(err)
	}
	if rejected := check.WithSeverity(lint.AppTier(&app), check.Reject); len(rejected) > 0 {
		t.Fatal(rejected)
	}
	return &app
}

const sender = `
metadata: {name: site, namespace: frontend}
spec:
  dns: {mode: None}
  tiers:
  - name: web
    podSelector: {matchLabels: {tier: web}}
    egress: [SAYS]
`

const receiver = `
metadata: {name: backend, namespace: backend}
spec:
  dns: {mode: None}
  tiers:
  - name: api
    podSelector: {matchLabels: {tier: api}}
    ports: [{port: 8080}, {port: 9090}]
    ingress: [SAYS]
`

// A connection between AppTiers takes both owners; each side emits its own half, and neither before
// the other agrees.
func TestAgreement(t *testing.T) {
	const toAPI, fromWeb = "{appTier: {namespace: backend, name: backend, tier: api}}", "{appTier: {namespace: frontend, name: site, tier: web}}"
	for _, test := range []struct {
		name, egress, ingress string
		// The ports of each half, and why there is none.
		out, in string
		problem string
	}{
		{name: "both agree on the receiver's ports", egress: "{to: [" + toAPI + "]}", ingress: "{from: [" + fromWeb + "]}", out: "8080,9090", in: "8080,9090"},
		{name: "the receiver accepts one of its ports", egress: "{to: [" + toAPI + "]}", ingress: "{from: [" + fromWeb + "], ports: [{port: 8080}]}", out: "8080", in: "8080"},
		{name: "the sender names one port", egress: "{to: [" + toAPI + "], ports: [{port: 8080}]}", ingress: "{from: [" + fromWeb + "]}", out: "8080", in: "8080,9090"},
		{name: "the receiver says nothing", egress: "{to: [" + toAPI + "]}", problem: "PeerNotAccepted: tier api of AppTier backend/backend does not name tier web of AppTier frontend/site in its ingress"},
		{name: "the sender says nothing", ingress: "{from: [" + fromWeb + "]}", problem: "PeerNotAccepted: tier web of AppTier frontend/site does not name tier api of AppTier backend/backend in its egress"},
		{name: "they have no port in common", egress: "{to: [" + toAPI + "], ports: [{port: 80}]}", ingress: "{from: [" + fromWeb + "]}", problem: "PeerNotAccepted: tier api of AppTier backend/backend names tier web in its ingress, but on other ports"},
		{name: "the sender's tier is another", egress: "{to: [" + toAPI + "]}", ingress: "{from: [{appTier: {namespace: frontend, name: site, tier: wed}}]}", problem: `RefNotFound: AppTier frontend/site has no tier "wed"`},
		{name: "the other AppTier is not there", egress: "{to: [{appTier: {name: backend, tier: api}}]}", ingress: "{from: [" + fromWeb + "]}", problem: "RefNotFound: there is no valid AppTier frontend/backend"},
	} {
		t.Run(test.name, func(t *testing.T) {
			web := parseAppTier(t, strings.Replace(sender, "SAYS", test.egress, 1))
			api := parseAppTier(t, strings.Replace(receiver, "SAYS", test.ingress, 1))
			env := expand.Environment{AppTiers: map[types.NamespacedName]*v1alpha1.AppTier{
				{Namespace: "frontend", Name: "site"}: web, {Namespace: "backend", Name: "backend"}: api,
			}}
			webSide, apiSide := expand.Expand(web, env), expand.Expand(api, env)
			var out, in string
			for _, rule := range webSide.Policies[0].Spec.Egress {
				out = ports(rule.Ports)
				if peer := rule.To[0]; peer.NamespaceSelector.MatchLabels[corev1.LabelMetadataName] != "backend" || peer.PodSelector.MatchLabels["tier"] != "api" {
					t.Errorf("egress to %v", peer)
				}
			}
			for _, rule := range apiSide.Policies[0].Spec.Ingress {
				in = ports(rule.Ports)
				if peer := rule.From[0]; peer.NamespaceSelector.MatchLabels[corev1.LabelMetadataName] != "frontend" || peer.PodSelector.MatchLabels["tier"] != "web" {
					t.Errorf("ingress from %v", peer)
				}
			}
			if out != test.out || in != test.in {
				t.Errorf("sender's half %q, want %q; receiver's half %q, want %q", out, test.out, in, test.in)
			}
			var problems []string
			for _, u := range slices.Concat(webSide.Unresolved, apiSide.Unresolved) {
				problems = append(problems, u.Reason+": "+u.Message)
			}
			if test.problem == "" && len(problems) > 0 || test.problem != "" && !slices.Contains(problems, test.problem) {
				t.Errorf("unresolved: %q, want %q", problems, test.problem)
			}
		})
	}
}

const caller = `
metadata: {name: site, namespace: app}
spec:
  dns: {mode: None}
  tiers:
  - name: web
    podSelector: {matchLabels: {tier: web}}
    egress: [{to: [PEER]}]
`

// A Service stands for the pods behind it, on the ports that they listen on.
func TestServicePeer(t *testing.T) {
	pod := func(name string, port int32) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: name, Labels: map[string]string{"app": "db"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "pg", ContainerPort: port}}}}},
		}
	}
	service := func(selector map[string]string, ports ...corev1.ServicePort) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: "db"}, Spec: corev1.ServiceSpec{Selector: selector, Ports: ports}}
	}
	db := map[string]string{"app": "db"}
	named := corev1.ServicePort{Port: 5432, TargetPort: intstr.FromString("pg")}
	for _, test := range []struct {
		name    string
		service *corev1.Service
		pods    []*corev1.Pod
		ports   string
		problem string
	}{
		{name: "a target port that is a number", service: service(db, corev1.ServicePort{Port: 80, TargetPort: intstr.FromInt32(8080)}), ports: "8080"},
		{name: "no target port: the same number", service: service(db, corev1.ServicePort{Port: 80}), ports: "80"},
		{name: "a name, and pods that differ", service: service(db, named), pods: []*corev1.Pod{pod("a", 5432), pod("b", 5433)}, ports: "5432,5433"},
		{name: "a name that no pod declares", service: service(db, named), problem: v1alpha1.ReasonRefNotFound},
		{name: "a service without a selector", service: service(nil, named), problem: v1alpha1.ReasonUnsupportedRef},
		{name: "an external name", service: &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, Selector: db}}, problem: v1alpha1.ReasonUnsupportedRef},
		{name: "no such service", problem: v1alpha1.ReasonRefNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			var env expand.Environment
			if test.service != nil {
				env.Services = map[types.NamespacedName]expand.Service{{Namespace: "data", Name: "db"}: expand.ServiceOf(test.service, test.pods)}
			}
			got := expand.Expand(parseAppTier(t, strings.Replace(caller, "PEER", "{service: {namespace: data, name: db}}", 1)), env)
			expectEgress(t, got, test.ports, test.problem)
		})
	}
}

// The API server is its endpoints and its Service's addresses, each on its own ports.
func TestKubeAPIServerPeer(t *testing.T) {
	app := parseAppTier(t, strings.Replace(caller, "PEER", "{kubeAPIServer: {}}", 1))
	expectEgress(t, expand.Expand(app, expand.Environment{}), "", v1alpha1.ReasonRefNotFound)
	service := &corev1.Service{Spec: corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.1"}, Ports: []corev1.ServicePort{{Port: 443}}}}
	endpoints := &discoveryv1.EndpointSlice{
		Ports:     []discoveryv1.EndpointPort{{Port: ptr.To[int32](6443)}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"172.18.0.2"}}},
	}
	got := expand.Expand(app, expand.Environment{APIServer: expand.APIServerOf(service, []*discoveryv1.EndpointSlice{endpoints})})
	expectEgress(t, got, "443 6443", "")
	if cidr := got.Policies[0].Spec.Egress[1].To[0].IPBlock.CIDR; cidr != "172.18.0.2/32" {
		t.Errorf("egress to %s", cidr)
	}
}

// Nodes are their internal and external addresses.
func TestNodesPeer(t *testing.T) {
	app := parseAppTier(t, strings.Replace(caller, "{to: [PEER]}", "{to: [{nodes: {}}], ports: [{port: 9100}]}", 1))
	expectEgress(t, expand.Expand(app, expand.Environment{}), "", v1alpha1.ReasonRefNotFound)
	node := &corev1.Node{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
		{Type: corev1.NodeHostName, Address: "n1"}, {Type: corev1.NodeInternalIP, Address: "172.18.0.3"}, {Type: corev1.NodeInternalIP, Address: "fd00::3"},
	}}}
	addresses := expand.NodeAddresses([]*corev1.Node{node})
	if want := []netip.Addr{addr("172.18.0.3"), addr("fd00::3")}; !slices.Equal(addresses, want) {
		t.Errorf("addresses %v, want %v", addresses, want)
	}
	got := expand.Expand(app, expand.Environment{Nodes: addresses})
	expectEgress(t, got, "9100", "")
	if to := got.Policies[0].Spec.Egress[0].To; len(to) != 2 || to[1].IPBlock.CIDR != "fd00::3/128" {
		t.Errorf("egress to %v", to)
	}
}

// expectEgress compares the ports of each egress rule, and the reason of the one unresolved reference.
func expectEgress(t *testing.T, got expand.Expansion, want, reason string) {
	t.Helper()
	var rules []string
	for _, rule := range got.Policies[0].Spec.Egress {
		rules = append(rules, ports(rule.Ports))
	}
	if have := strings.Join(rules, " "); have != want {
		t.Errorf("egress on %q, want %q", have, want)
	}
	switch {
	case reason == "" && len(got.Unresolved) > 0:
		t.Errorf("unresolved: %v", got.Unresolved)
	case reason != "" && (len(got.Unresolved) != 1 || got.Unresolved[0].Reason != reason):
		t.Errorf("unresolved: %v, want one with reason %s", got.Unresolved, reason)
	}
}

func ports(list []networkingv1.NetworkPolicyPort) string {
	var words []string
	for _, port := range list {
		words = append(words, port.Port.String())
	}
	return strings.Join(words, ",")
}

// In a cluster of IPv6 alone, addresses are whole ones of that family.
func TestIPv6Only(t *testing.T) {
	dns := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-dns"},
		Spec: corev1.ServiceSpec{
			ClusterIPs: []string{"fd00:10:96::a"}, Selector: map[string]string{"k8s-app": "kube-dns"},
			Ports: []corev1.ServicePort{{Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(5353)}},
		},
	}
	env := expand.Environment{DNS: expand.DNSOfService(dns, nil), Nodes: []netip.Addr{addr("fd00::3")}}
	app := parseAppTier(t, strings.NewReplacer("{to: [PEER]}", "{to: [{nodes: {}}], ports: [{port: 9100}]}", "dns: {mode: None}", "dns: {nodeLocal: Never}").Replace(caller))
	var got []string
	for _, rule := range expand.NetworkPolicies(app, env)[0].Spec.Egress {
		for _, peer := range rule.To {
			to := "pods"
			if peer.IPBlock != nil {
				to = peer.IPBlock.CIDR
			}
			got = append(got, to+":"+ports(rule.Ports))
		}
	}
	if want := []string{"fd00:10:96::a/128:53", "pods:5353", "fd00::3/128:9100"}; !slices.Equal(got, want) {
		t.Errorf("egress to %v, want %v", got, want)
	}
}
