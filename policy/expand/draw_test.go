package expand_test

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
)

// drawAppTier draws a valid AppTier of namespace app, from so few names that they often meet.
func drawAppTier(t *rapid.T) *v1alpha1.AppTier {
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "app"}}
	app.Spec.DNS.Mode = rapid.SampledFrom([]v1alpha1.DNSMode{v1alpha1.DNSClusterDNS, v1alpha1.DNSCustom, v1alpha1.DNSNone}).Draw(t, "dns")
	if app.Spec.DNS.Mode == v1alpha1.DNSCustom {
		app.Spec.DNS.To = slices.DeleteFunc(drawPeers(t, app, false), func(p v1alpha1.Peer) bool { return p.AppTier != nil })
		app.Spec.DNS.To = append(app.Spec.DNS.To, v1alpha1.Peer{Service: &v1alpha1.ServiceReference{Namespace: "elsewhere", Name: "svc"}})
		app.Spec.DNS.Ports, _ = drawPorts(t, false)
	}
	app.Spec.Isolation.Scope = rapid.SampledFrom([]v1alpha1.IsolationScope{v1alpha1.ScopeTiers, v1alpha1.ScopeNamespace}).Draw(t, "scope")
	if app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace {
		app.Spec.Isolation.SameNamespace = rapid.SampledFrom([]v1alpha1.SameNamespace{v1alpha1.SameNamespaceDeny, v1alpha1.SameNamespaceAllow}).Draw(t, "same")
	}
	app.Spec.Mesh = rapid.SampledFrom([]*v1alpha1.Mesh{nil, nil, {Provider: v1alpha1.Istio}, {Provider: v1alpha1.Istio, DataPlane: v1alpha1.Ambient}}).Draw(t, "mesh")
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
			tier.Egress = append(tier.Egress, drawn(v1alpha1.EgressRule{To: drawPeers(t, app, false), Ports: ports, AllPorts: all}))
		}
	}
	if rejected := check.WithSeverity(lint.AppTier(app), check.Reject); len(rejected) > 0 {
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
		Egress:  []v1alpha1.EgressRule{drawn(v1alpha1.EgressRule{To: drawPeers(t, app, false), Ports: egress, AllPorts: anyEgress})},
	}
}

// drawn makes an egress rule that says no ports valid, if it is not.
func drawn(rule v1alpha1.EgressRule) v1alpha1.EgressRule {
	bringsNone := func(p v1alpha1.Peer) bool { return p.AppTier == nil && p.Service == nil && p.KubeAPIServer == nil }
	rule.AllPorts = rule.AllPorts || len(rule.Ports) == 0 && slices.ContainsFunc(rule.To, bringsNone)
	return rule
}

// drawOther draws the AppTier elsewhere/y, whose tier a may agree to connections with tiers of app/x.
func drawOther(t *rapid.T) *v1alpha1.AppTier {
	other := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Name: "y", Namespace: "elsewhere"}}
	tier := v1alpha1.Tier{
		Name:        "a",
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "a"}},
		Ports:       []v1alpha1.TierPort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
	}
	for _, name := range []string{"a", "b", "c"} {
		with := []v1alpha1.Peer{{AppTier: &v1alpha1.AppTierReference{Namespace: "app", Name: "x", Tier: name}}}
		if rapid.Bool().Draw(t, "accepts") {
			ports, all := drawPorts(t, false)
			tier.Ingress = append(tier.Ingress, v1alpha1.IngressRule{From: with, Ports: ports, AllPorts: all})
		}
		if rapid.Bool().Draw(t, "connects") {
			ports, all := drawPorts(t, false)
			tier.Egress = append(tier.Egress, v1alpha1.EgressRule{To: with, Ports: ports, AllPorts: all})
		}
	}
	other.Spec.Tiers = []v1alpha1.Tier{tier}
	return other
}

// drawFurther draws the AppTier app/z, with a tier of its own and perhaps the whole namespace.
func drawFurther(t *rapid.T) *v1alpha1.AppTier {
	further := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Name: "z", Namespace: "app"}}
	further.Spec.DNS.Mode = rapid.SampledFrom([]v1alpha1.DNSMode{v1alpha1.DNSClusterDNS, v1alpha1.DNSNone}).Draw(t, "further dns")
	if rapid.Bool().Draw(t, "further namespace") {
		further.Spec.Isolation.Scope = v1alpha1.ScopeNamespace
		further.Spec.Isolation.SameNamespace = rapid.SampledFrom([]v1alpha1.SameNamespace{v1alpha1.SameNamespaceDeny, v1alpha1.SameNamespaceAllow}).Draw(t, "further same")
	}
	tier := v1alpha1.Tier{
		Name:        "own",
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "none"}},
		Ports:       []v1alpha1.TierPort{{Port: 80}},
		Isolate:     rapid.SampledFrom([][]v1alpha1.Direction{{v1alpha1.Ingress, v1alpha1.Egress}, {v1alpha1.Egress}}).Draw(t, "further isolate"),
		Ingress:     []v1alpha1.IngressRule{{From: drawPeers(t, further, true), AllPorts: true}},
		Egress:      []v1alpha1.EgressRule{{To: drawPeers(t, further, false), AllPorts: true}},
	}
	if further.Spec.Isolation.SameNamespace == v1alpha1.SameNamespaceAllow {
		tier.Isolate = []v1alpha1.Direction{v1alpha1.Egress}
	}
	further.Spec.Tiers = []v1alpha1.Tier{tier}
	return further
}

// removeConnection removes one rule, or one peer of a rule, from either AppTier.
func removeConnection(t *rapid.T, app, other *v1alpha1.AppTier) (*v1alpha1.AppTier, *v1alpha1.AppTier) {
	app, other = app.DeepCopy(), other.DeepCopy()
	tiers := []*v1alpha1.Tier{&other.Spec.Tiers[0]}
	for i := range app.Spec.Tiers {
		tiers = append(tiers, &app.Spec.Tiers[i])
	}
	tier := rapid.SampledFrom(tiers).Draw(t, "tier to remove from")
	if rapid.Bool().Draw(t, "remove ingress") && len(tier.Ingress) > 0 {
		i := rapid.IntRange(0, len(tier.Ingress)-1).Draw(t, "ingress to remove")
		tier.Ingress = slices.Delete(tier.Ingress, i, i+1)
	} else if len(tier.Egress) > 0 {
		i := rapid.IntRange(0, len(tier.Egress)-1).Draw(t, "egress to remove")
		tier.Egress = slices.Delete(tier.Egress, i, i+1)
	}
	return app, other
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
		{AppTier: &v1alpha1.AppTierReference{Namespace: "elsewhere", Name: "y", Tier: "a"}},
		{AppTier: &v1alpha1.AppTierReference{Namespace: "elsewhere", Name: "nobody", Tier: "a"}},
		{Service: &v1alpha1.ServiceReference{Namespace: "elsewhere", Name: "svc"}},
		{Service: &v1alpha1.ServiceReference{Name: "nobody"}},
		{Nodes: &v1alpha1.NodesPeer{}},
		{KubeAPIServer: &v1alpha1.KubeAPIServerPeer{}},
		{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{"8.8.8.8/32", "10.244.0.0/16"}, Except: []string{"10.244.2.0/24"}}},
	}
	if ingress {
		for i := range app.Spec.Tiers {
			choices = append(choices, v1alpha1.Peer{Tier: &app.Spec.Tiers[i].Name}, v1alpha1.Peer{Tier: &app.Spec.Tiers[i].Name})
		}
	}
	return rapid.SliceOfN(rapid.SampledFrom(choices), 1, 3).Draw(t, "peers")
}
