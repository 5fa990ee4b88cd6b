package expand_test

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
)

// drawAppTier draws a valid AppTier of namespace app, from so few names that they often meet.
func drawAppTier(t *rapid.T) *v1alpha1.AppTier {
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "app"}}
	app.Spec.DNS.Mode = rapid.SampledFrom([]v1alpha1.DNSMode{v1alpha1.DNSClusterDNS, v1alpha1.DNSCustom, v1alpha1.DNSNone}).Draw(t, "dns")
	if app.Spec.DNS.Mode == v1alpha1.DNSCustom {
		app.Spec.DNS.To = drawPeers(t, app, false)
		app.Spec.DNS.Ports, _ = drawPorts(t, false)
	}
	app.Spec.Isolation.Scope = rapid.SampledFrom([]v1alpha1.IsolationScope{v1alpha1.ScopeTiers, v1alpha1.ScopeNamespace}).Draw(t, "scope")
	if app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace {
		app.Spec.Isolation.SameNamespace = rapid.SampledFrom([]v1alpha1.SameNamespace{v1alpha1.SameNamespaceDeny, v1alpha1.SameNamespaceAllow}).Draw(t, "same")
	}
	for _, name := range rapid.SampledFrom([][]string{{"a"}, {"a", "b"}, {"a", "b", "c"}}).Draw(t, "names") {
		app.Spec.Tiers = append(app.Spec.Tiers, v1alpha1.Tier{
			Name:        name,
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": name}},
			Ports:       []v1alpha1.TierPort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}},
			Isolate: rapid.SampledFrom([][]v1alpha1.Direction{
				{v1alpha1.Ingress, v1alpha1.Egress}, {v1alpha1.Ingress}, {v1alpha1.Egress},
			}).Draw(t, "isolate"),
		})
	}
	if rapid.Bool().Draw(t, "every tier") {
		app.Spec.EveryTier = drawEveryTier(t, app)
	}
	for i := range app.Spec.Tiers {
		tier := &app.Spec.Tiers[i]
		for range rapid.IntRange(0, 3).Draw(t, "ingress rules") {
			ports, all := drawPorts(t, true)
			tier.Ingress = append(tier.Ingress, v1alpha1.IngressRule{From: drawPeers(t, app, true), Ports: ports, AllPorts: all})
		}
		for range rapid.IntRange(0, 2).Draw(t, "egress rules") {
			ports, all := drawPorts(t, false)
			tier.Egress = append(tier.Egress, v1alpha1.EgressRule{To: drawPeers(t, app, false), Ports: ports, AllPorts: all || len(ports) == 0})
		}
	}
	if rejected := lint.WithSeverity(lint.AppTier(app), lint.Reject); len(rejected) > 0 {
		if app.Spec.Isolation.SameNamespace != v1alpha1.SameNamespaceAllow {
			t.Fatalf("the generator draws invalid AppTiers: %v", rejected)
		}
		app.Spec.Isolation.SameNamespace = v1alpha1.SameNamespaceDeny // a tier isolates ingress
	}
	return app
}

func drawEveryTier(t *rapid.T, app *v1alpha1.AppTier) *v1alpha1.EveryTier {
	ingress, anyIngress := drawPorts(t, false)
	egress, anyEgress := drawPorts(t, false)
	return &v1alpha1.EveryTier{
		Ingress: []v1alpha1.IngressRule{{From: drawPeers(t, app, true), Ports: ingress, AllPorts: anyIngress || len(ingress) == 0}},
		Egress:  []v1alpha1.EgressRule{{To: drawPeers(t, app, false), Ports: egress, AllPorts: anyEgress || len(egress) == 0}},
	}
}

func drawPorts(t *rapid.T, ingress bool) (ports []v1alpha1.RulePort, all bool) {
	end := int32(443)
	choices := [][]v1alpha1.RulePort{
		nil,
		{{Port: intstr.FromInt32(80)}},
		{{Port: intstr.FromInt32(80), EndPort: &end}},
		{{Port: intstr.FromInt32(53), Protocol: corev1.ProtocolUDP}, {Port: intstr.FromInt32(443)}},
	}
	if ingress {
		choices = append(choices, []v1alpha1.RulePort{{Port: intstr.FromString("http")}, {Port: intstr.FromString("dns")}})
	}
	ports = rapid.SampledFrom(choices).Draw(t, "ports")
	return ports, len(ports) == 0 && rapid.Bool().Draw(t, "all ports")
}

func drawPeers(t *rapid.T, app *v1alpha1.AppTier, ingress bool) []v1alpha1.Peer {
	labels := func(key, value string) metav1.LabelSelector {
		return metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	elsewhere := labels(corev1.LabelMetadataName, "elsewhere")
	choices := []v1alpha1.Peer{
		{Everyone: &v1alpha1.EveryonePeer{}},
		{Internet: &v1alpha1.InternetPeer{}},
		{Pods: &v1alpha1.PodsPeer{PodSelector: labels("tier", "none")}},
		{Pods: &v1alpha1.PodsPeer{PodSelector: labels("tier", "a"), NamespaceSelector: &elsewhere}},
		{Pods: &v1alpha1.PodsPeer{PodSelector: labels("tier", "a"), NamespaceSelector: &metav1.LabelSelector{}}},
		{Namespaces: &elsewhere},
		{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{"8.8.8.8/32", "10.244.0.0/16"}, Except: []string{"10.244.2.0/24"}}},
	}
	if ingress {
		for i := range app.Spec.Tiers {
			choices = append(choices, v1alpha1.Peer{Tier: &app.Spec.Tiers[i].Name}, v1alpha1.Peer{Tier: &app.Spec.Tiers[i].Name})
		}
	}
	return rapid.SliceOfN(rapid.SampledFrom(choices), 1, 3).Draw(t, "peers")
}
