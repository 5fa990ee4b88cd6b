package lint

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// DeclaredAtReceiver is found where a connection between tiers is declared at its receiver alone.
const DeclaredAtReceiver ID = "declared-at-receiver"

func init() {
	register(Check{
		ID: DeclaredAtReceiver, Severity: Reject, About: ofAppTiers,
		Title: "A connection declared at its sender",
		Text:  `A connection between tiers is declared once, at its receiver. The sender's egress follows from it.`,
	})
}

// SameNamespaceConflict is found where a rule for the whole namespace would open an isolated tier.
const SameNamespaceConflict ID = "same-namespace-conflict"

func init() {
	register(Check{
		ID: SameNamespaceConflict, Severity: Reject, About: ofAppTiers,
		Title: "A perimeter that opens a tier",
		Text:  `Policies add up, so allowing the whole namespace would open a tier that is to be isolated from it.`,
	})
}

func checkMesh(r *report, path *field.Path, mesh *v1alpha1.Mesh) {
	if mesh == nil {
		return
	}
	if mesh.Provider == "" {
		r.find(Invalid, path.Child("provider"), "say Istio or Linkerd, or leave mesh out", "it is unclear which mesh is meant")
	}
	if mesh.Provider == v1alpha1.Linkerd && mesh.DataPlane == v1alpha1.Ambient {
		r.find(Invalid, path.Child("dataPlane"), "leave it out", "only Istio has the data plane Ambient")
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
		r.find(Invalid, path, "write its metadata.name", "%q cannot be the name of anything: %s", name, problem)
	}
}

// checkSelf refuses a reference to the AppTier that it stands in.
func checkSelf(r *report, app *v1alpha1.AppTier) {
	for rule := range model.Rules(&app.Spec) {
		for i, peer := range rule.Peers {
			reference := peer.AppTier
			if reference == nil || reference.Name != app.Name || reference.Namespace != "" && reference.Namespace != app.Namespace {
				continue
			}
			r.find(DeclaredAtReceiver, rule.PeerAt(i).Path().Child("appTier"), "write tier: "+reference.Tier+" under ingress.from of the tier that receives",
				"this is the AppTier itself, where a connection is declared once")
		}
	}
}

// SameNamespaceAs returns the conflicts of an AppTier with another of its namespace: what one of them
// allows for every pod would open what the other isolates, since policies add up.
func SameNamespaceAs(app, other *v1alpha1.AppTier) []Finding {
	r := &report{}
	isolation := field.NewPath("spec", "isolation")
	for _, shared := range sharedAllowances(app, other) {
		r.find(SameNamespaceConflict, isolation.Child("scope"), "set scope: Tiers, or "+shared.fix,
			"policies add up, so %s for every pod of the namespace would open tier %s of AppTier %s", shared.what, shared.tier, other.Name)
	}
	for _, shared := range sharedAllowances(other, app) {
		r.find(SameNamespaceConflict, field.NewPath("spec", "tiers"), "set scope: Tiers in AppTier "+other.Name+", or "+shared.fix,
			"AppTier %s holds for every pod of the namespace, and its %s would open tier %s", other.Name, shared.what, shared.tier)
	}
	return r.findings
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
