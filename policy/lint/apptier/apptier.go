// Package apptier has the checks of AppTiers: each is a file, which registers it.
package apptier

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/model"
)

// ByItself returns what is invalid in an AppTier, or has no effect, in the order of its fields. The controller
// implements an AppTier that is not refused here. It also finds what the schema refuses, for use without an API server.
func ByItself(app *v1alpha1.AppTier) []check.Finding {
	r := &check.Report{}
	checkName(r, field.NewPath("metadata", "name"), app.Name)
	spec := field.NewPath("spec")
	checkValues(r, spec, &app.Spec)
	checkLimits(r, spec, &app.Spec)
	checkMesh(r, spec.Child("mesh"), app.Spec.Mesh)
	checkSelf(r, app)
	checkIsolation(r, spec, &app.Spec)
	checkDNS(r, spec.Child("dns"), &app.Spec)
	checkEveryTier(r, spec.Child("everyTier"), &app.Spec)
	checkDuplicates(r, spec.Child("tiers"), app.Spec.Tiers, func(t v1alpha1.Tier) string { return t.Name })
	for i := range app.Spec.Tiers {
		checkTier(r, spec.Child("tiers").Index(i), &app.Spec, &app.Spec.Tiers[i])
	}
	return r.Findings
}

func checkName(r *check.Report, path *field.Path, name string) {
	for _, problem := range validation.IsDNS1123Label(name) {
		r.Find(netpol.Invalid, path, "for example shop, or web-api", "%q is not a DNS label, and policies are named after it: %s", name, problem)
	}
}

func checkIsolation(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec) {
	namespaced := spec.Isolation.Scope == v1alpha1.ScopeNamespace
	if !namespaced && len(spec.Tiers) == 0 {
		r.Find(netpol.Invalid, path.Child("tiers"), "declare a tier, or set isolation.scope: Namespace", "there is nothing to isolate")
	}
	if spec.Isolation.SameNamespace != v1alpha1.SameNamespaceAllow {
		return
	}
	same := path.Child("isolation", "sameNamespace")
	if !namespaced {
		r.Find(netpol.Invalid, same, "set isolation.scope: Namespace, or leave sameNamespace out",
			"sameNamespace: Allow has no meaning while only tiers are isolated")
		return
	}
	for i, tier := range spec.Tiers {
		if len(tier.Isolate) == 0 || slices.Contains(tier.Isolate, v1alpha1.Ingress) {
			r.Find(SameNamespaceConflict, same, fmt.Sprintf("set sameNamespace: Deny, or isolate: [Egress] in %s", path.Child("tiers").Index(i)),
				"policies add up, so allowing the whole namespace would open tier %s to every pod of it", tier.Name)
		}
	}
}

// checkDNS checks the servers of mode Custom like the peers of any rule.
func checkDNS(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec) {
	if spec.DNS.Mode != v1alpha1.DNSCustom {
		if len(spec.DNS.To) > 0 || len(spec.DNS.Ports) > 0 {
			r.Find(netpol.Invalid, path, "set mode: Custom, or leave to and ports out", "to and ports belong to mode Custom")
		}
		return
	}
	checkEgressPeers(r, path.Child("to"), spec, spec.DNS.To)
	for i, peer := range spec.DNS.To {
		if peer.AppTier != nil {
			r.Find(netpol.Invalid, path.Child("to").Index(i).Child("appTier"), "name its pods with pods or service",
				"a tier of another AppTier accepts tiers, not DNS")
		}
	}
	for i, port := range spec.DNS.Ports {
		checkRulePort(r, path.Child("ports").Index(i), port, nil)
	}
}

// checkEveryTier checks the rules for every tier. They have no declared ports.
func checkEveryTier(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec) {
	if spec.EveryTier == nil {
		return
	}
	for i, rule := range spec.EveryTier.Ingress {
		checkIngress(r, path.Child("ingress").Index(i), spec, declarer{"everyTier", nil}, rule)
	}
	for i, rule := range spec.EveryTier.Egress {
		checkEgress(r, path.Child("egress").Index(i), spec, rule)
	}
}

func checkTier(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier) {
	checkName(r, path.Child("name"), tier.Name)
	checkSelector(r, path.Child("podSelector"), &tier.PodSelector,
		"name the labels of this tier's pods, for example matchLabels: {tier: "+tier.Name+"}; isolation.scope: Namespace isolates every pod")
	checkDuplicates(r, path.Child("ports"), tier.Ports, func(p v1alpha1.TierPort) string { return p.Name })
	for i, port := range tier.Ports {
		checkRange(r, path.Child("ports").Index(i), port.Port, port.EndPort)
		checkProtocol(r, path.Child("ports").Index(i), port.Protocol)
	}
	for i, direction := range tier.Isolate {
		oneOf(r, path.Child("isolate").Index(i), direction, v1alpha1.Ingress, v1alpha1.Egress)
	}
	for i, rule := range tier.Ingress {
		checkIngress(r, path.Child("ingress").Index(i), spec, declarer{"tier " + tier.Name, tier.Ports}, rule)
	}
	for i, rule := range tier.Egress {
		checkEgress(r, path.Child("egress").Index(i), spec, rule)
	}
	// A rule for a tier of another AppTier is an agreement, whether or not this side is isolated.
	dead := slices.ContainsFunc(tier.Egress, func(rule v1alpha1.EgressRule) bool {
		return slices.ContainsFunc(rule.To, func(p v1alpha1.Peer) bool { return p.AppTier == nil })
	})
	if !model.Isolates(spec, tier, v1alpha1.Egress) && dead {
		r.Find(netpol.DeadRules, path.Child("egress"), "add Egress to isolate, or remove the rules",
			"tier %s does not isolate egress, so these rules change nothing: all egress is allowed", tier.Name)
	}
}

// declarer is the place of an ingress rule, and the ports that the rule may refer to.
type declarer struct {
	name  string
	ports []v1alpha1.TierPort
}

func checkIngress(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec, by declarer, rule v1alpha1.IngressRule) {
	checkNotEmpty(r, path.Child("from"), rule.From)
	for i, peer := range rule.From {
		peerPath := path.Child("from").Index(i)
		checkPeer(r, peerPath, peer)
		if peer.Tier != nil {
			checkTierExists(r, peerPath.Child("tier"), spec, *peer.Tier)
		}
	}
	checkSaid(r, path, rule.AllPorts, rule.Ports, len(by.ports) > 0, "list ports here, say allPorts: true, or declare the tier's ports",
		"without ports the rule means the declared ports, and "+by.name+" declares none")
	for i, port := range rule.Ports {
		checkRulePort(r, path.Child("ports").Index(i), port, by.ports)
	}
}

func checkEgress(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec, rule v1alpha1.EgressRule) {
	checkEgressPeers(r, path.Child("to"), spec, rule.To)
	isWithout := func(p v1alpha1.Peer) bool { return !model.BringsPorts(&p) }
	checkSaid(r, path, rule.AllPorts, rule.Ports, !slices.ContainsFunc(rule.To, isWithout), "list ports, or say allPorts: true",
		"an egress rule must list its ports: only the peers appTier, service and kubeAPIServer bring their own")
	for i, port := range rule.Ports {
		checkRulePort(r, path.Child("ports").Index(i), port, nil)
	}
}

func checkEgressPeers(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec, to []v1alpha1.Peer) {
	checkNotEmpty(r, path, to)
	for i, peer := range to {
		checkPeer(r, path.Index(i), peer)
		if peer.Tier != nil {
			tier := path.Index(i).Child("tier")
			r.Find(DeclaredAtReceiver, tier, "write it under ingress.from of tier "+*peer.Tier,
				"a connection between tiers is declared once, at its receiver; the sender's egress follows")
			checkTierExists(r, tier, spec, *peer.Tier)
		}
	}
}

// checkNotEmpty refuses an empty list of peers, which allows nothing here and everything in a
// NetworkPolicy.
func checkNotEmpty(r *check.Report, path *field.Path, peers []v1alpha1.Peer) {
	if len(peers) == 0 {
		r.Find(netpol.Invalid, path, "name a peer, or say everyone: {}", "it is unclear whether an empty list means nobody or everybody")
	}
}
