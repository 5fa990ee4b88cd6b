package apptier

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// SameNamespaceConflict reports where a rule for the whole namespace would open an isolated tier.
var SameNamespaceConflict = register(check.Check{
	ID: "same-namespace-conflict", Severity: check.Reject, About: check.OfAppTiers,
	Title: "A perimeter that opens a tier",
	Text:  `Policies add up, so allowing the whole namespace would open a tier that must be isolated from it.`,
})

// Conflicts returns the conflicts of an AppTier with older ones of its namespace. Admission refuses both orders; if two
// AppTiers pass admission, the older one wins. Others may include the AppTier itself, and AppTiers that are being deleted.
func Conflicts(app *v1alpha1.AppTier, others []*v1alpha1.AppTier) []check.Finding {
	var findings []check.Finding
	for _, other := range others {
		if other.Namespace == app.Namespace && other.DeletionTimestamp.IsZero() && older(other, app) {
			findings = append(findings, SameNamespaceAs(app, other)...)
		}
	}
	return findings
}

// older orders AppTiers of one namespace by creation time, then by name: timestamps are whole seconds, and files have
// none.
func older(a, b *v1alpha1.AppTier) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}

// SameNamespaceAs returns the conflicts of an AppTier with another of its namespace: what one allows for every pod would
// open what the other isolates, because policies add up.
func SameNamespaceAs(app, other *v1alpha1.AppTier) []check.Finding {
	r := &check.Report{}
	isolation := field.NewPath("spec", "isolation")
	for _, shared := range sharedAllowances(app, other) {
		r.Find(SameNamespaceConflict, isolation.Child("scope"), "set scope: Tiers, or "+shared.fix,
			"policies add up, so %s for every pod of the namespace would open tier %s of AppTier %s", shared.what, shared.tier, other.Name)
	}
	for _, shared := range sharedAllowances(other, app) {
		r.Find(SameNamespaceConflict, field.NewPath("spec", "tiers"), "set scope: Tiers in AppTier "+other.Name+", or "+shared.fix,
			"AppTier %s holds for every pod of the namespace, and its %s would open tier %s", other.Name, shared.what, shared.tier)
	}
	return r.Findings
}

// shared is what an AppTier allows every pod of its namespace, beyond what another allows a tier.
type shared struct{ what, tier, fix string }

func sharedAllowances(app, other *v1alpha1.AppTier) []shared {
	if app.Spec.Isolation.Scope != v1alpha1.ScopeNamespace {
		return nil
	}
	var out []shared
	add := func(what, fix string, directions ...v1alpha1.Direction) {
		for _, tier := range isolatedTiers(other, directions...) {
			out = append(out, shared{what, tier, fix})
		}
	}
	if app.Spec.Isolation.SameNamespace == v1alpha1.SameNamespaceAllow {
		add("sameNamespace: Allow", "sameNamespace: Deny", v1alpha1.Ingress, v1alpha1.Egress)
	}
	if dns := app.Spec.DNS; dns.Mode != v1alpha1.DNSNone && !equality.Semantic.DeepEqual(withDefaults(dns), withDefaults(other.Spec.DNS)) {
		add("dns", "the same dns in both", v1alpha1.Egress)
	}
	if mesh := app.Spec.Mesh; mesh != nil && !equality.Semantic.DeepEqual(mesh, other.Spec.Mesh) {
		add("mesh", "the same mesh in both", v1alpha1.Egress)
	}
	return out
}

func withDefaults(dns v1alpha1.DNS) v1alpha1.DNS {
	dns.Mode = cmp.Or(dns.Mode, v1alpha1.DNSClusterDNS)
	dns.NodeLocal = cmp.Or(dns.NodeLocal, v1alpha1.NodeLocalAuto)
	return dns
}

// isolatedTiers are the tiers that isolate any of the directions.
func isolatedTiers(app *v1alpha1.AppTier, directions ...v1alpha1.Direction) []string {
	var names []string
	for _, tier := range app.Spec.Tiers {
		if slices.ContainsFunc(directions, func(direction v1alpha1.Direction) bool { return model.TierIsolates(&tier, direction) }) {
			names = append(names, tier.Name)
		}
	}
	return names
}
