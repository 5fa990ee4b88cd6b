package lint

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
)

// bringsNoPorts says whether a peer leaves it open which ports are meant.
func bringsNoPorts(peer v1alpha1.Peer) bool {
	return peer.AppTier == nil && peer.Service == nil && peer.KubeAPIServer == nil
}

func checkMesh(r *report, path *field.Path, mesh *v1alpha1.Mesh) {
	if mesh == nil {
		return
	}
	if mesh.Provider == "" {
		r.reject(Invalid, path.Child("provider"), "say Istio or Linkerd, or leave mesh out", "it is unclear which mesh is meant")
	}
	if mesh.Provider == v1alpha1.Linkerd && mesh.DataPlane == v1alpha1.Ambient {
		r.reject(Invalid, path.Child("dataPlane"), "leave it out", "only Istio has the data plane Ambient")
	}
}

// checkAppTierReference checks the names in a reference: a namespace may be left out.
func checkAppTierReference(r *report, path *field.Path, reference *v1alpha1.AppTierReference) {
	checkNamespace(r, path.Child("namespace"), reference.Namespace)
	checkLabel(r, path.Child("name"), reference.Name)
	checkLabel(r, path.Child("tier"), reference.Tier)
}

func checkServiceReference(r *report, path *field.Path, reference *v1alpha1.ServiceReference) {
	checkNamespace(r, path.Child("namespace"), reference.Namespace)
	checkLabel(r, path.Child("name"), reference.Name)
}

func checkNamespace(r *report, path *field.Path, name string) {
	if name != "" {
		checkLabel(r, path, name)
	}
}

func checkLabel(r *report, path *field.Path, name string) {
	for _, problem := range validation.IsDNS1123Label(name) {
		r.reject(Invalid, path, "write its metadata.name", "%q cannot be the name of anything: %s", name, problem)
	}
}

// checkSelf refuses a reference to the AppTier that it stands in.
func checkSelf(r *report, app *v1alpha1.AppTier) {
	check := func(path *field.Path, peers []v1alpha1.Peer) {
		for i, peer := range peers {
			reference := peer.AppTier
			if reference == nil || reference.Name != app.Name || reference.Namespace != "" && reference.Namespace != app.Namespace {
				continue
			}
			r.reject(DeclaredAtReceiver, path.Index(i).Child("appTier"), "write tier: "+reference.Tier+" under ingress.from of the tier that receives",
				"this is the AppTier itself, where a connection is declared once")
		}
	}
	rules := func(path *field.Path, ingress []v1alpha1.IngressRule, egress []v1alpha1.EgressRule) {
		for i, rule := range ingress {
			check(path.Child("ingress").Index(i).Child("from"), rule.From)
		}
		for i, rule := range egress {
			check(path.Child("egress").Index(i).Child("to"), rule.To)
		}
	}
	if every := app.Spec.EveryTier; every != nil {
		rules(field.NewPath("spec", "everyTier"), every.Ingress, every.Egress)
	}
	for i, tier := range app.Spec.Tiers {
		rules(field.NewPath("spec", "tiers").Index(i), tier.Ingress, tier.Egress)
	}
}

// SameNamespaceAs returns the conflicts of an AppTier with another of its namespace: what one of them
// allows for every pod would open what the other isolates, since policies add up.
func SameNamespaceAs(app, other *v1alpha1.AppTier) []Finding {
	r := &report{}
	path := field.NewPath("spec", "isolation", "sameNamespace")
	if opens(app) {
		for _, name := range isolatedTiers(other, v1alpha1.Ingress) {
			r.reject(SameNamespaceConflict, path, "set sameNamespace: Deny, or let AppTier "+other.Name+" isolate egress alone",
				"policies add up, so allowing the whole namespace would open tier %s of AppTier %s to every pod of it", name, other.Name)
		}
	}
	if opens(other) {
		for _, name := range isolatedTiers(app, v1alpha1.Ingress) {
			r.reject(SameNamespaceConflict, field.NewPath("spec", "tiers"), "set isolate: [Egress], or sameNamespace: Deny in AppTier "+other.Name,
				"AppTier %s allows the whole namespace, so tier %s would stay open to every pod of it", other.Name, name)
		}
	}
	return r.findings
}

func opens(app *v1alpha1.AppTier) bool {
	return app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace && app.Spec.Isolation.SameNamespace == v1alpha1.SameNamespaceAllow
}

func isolatedTiers(app *v1alpha1.AppTier, direction v1alpha1.Direction) []string {
	var names []string
	for _, tier := range app.Spec.Tiers {
		if len(tier.Isolate) == 0 || slices.Contains(tier.Isolate, direction) {
			names = append(names, tier.Name)
		}
	}
	return names
}
