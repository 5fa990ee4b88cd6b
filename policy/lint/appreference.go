package lint

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/model"
)

// UnknownReference is found where what a field names does not exist.
const UnknownReference ID = "unknown-reference"

func init() {
	register(Check{
		ID: UnknownReference, Severity: Reject, About: ofAppTiers,
		Title: "A name that nothing has",
		Text: `The tier or port that is named is not declared. Of another AppTier, its tiers, and Services it is a warning:
they may be applied later, and until then stand for nobody.`,
		AppTier: checkReferences,
	})
}

// PeerNotAccepted is found where the other AppTier does not agree.
const PeerNotAccepted ID = "peer-not-accepted"

func init() {
	register(Check{
		ID: PeerNotAccepted, Severity: Warn, About: ofAppTiers,
		Title: "A connection that the other owner has not agreed to",
		Text: `Between two AppTiers both owners declare a connection: the receiver in its ingress, the sender in its egress,
with a port in common. Until both do, it is denied.`,
		AppTier: checkAgreements,
	})
}

// checkReferences finds names of AppTiers, their tiers, and Services that nothing has. It needs all of
// them, or one whose name is nearly the same: what is in no file may be in the cluster.
func checkReferences(r *report, in *appView) {
	app, world := in.App, in.world
	check := func(peers []v1alpha1.Peer, at func(int) *field.Path) {
		for i, peer := range peers {
			switch {
			case peer.AppTier != nil:
				key := model.Key(app, peer.AppTier.Namespace, peer.AppTier.Name)
				if other := known(r, at(i).Child("appTier"), "AppTier", key, world.Whole && world.Known.AppTiers, besidesItself(app, world.AppTiers)); other != nil {
					checkTierKnown(r, at(i).Child("appTier", "tier"), other, peer.AppTier.Tier)
				}
			case peer.Service != nil:
				key := model.Key(app, peer.Service.Namespace, peer.Service.Name)
				known(r, at(i).Child("service"), "Service", key, world.Whole && world.Known.Services, world.Services)
			}
		}
	}
	for rule := range model.Rules(&app.Spec) {
		check(rule.Peers, func(i int) *field.Path { return rule.PeerAt(i).Path() })
	}
	check(app.Spec.DNS.To, field.NewPath("spec", "dns", "to").Index)
}

func checkTierKnown(r *report, path *field.Path, other *v1alpha1.AppTier, tier string) {
	var names []string
	for _, t := range other.Spec.Tiers {
		names = append(names, t.Name)
	}
	if slices.Contains(names, tier) {
		return
	}
	name := other.Namespace + "/" + other.Name
	fix := "tiers of AppTier " + name + ": " + strings.Join(names, ", ")
	if near := nearestOf(tier, names); near != "" {
		fix = fmt.Sprintf("did you mean %s? %s", near, fix)
	}
	r.add(UnknownReference, Warn, path, fix, "AppTier %s has no tier %q, so this peer stands for nobody", name, tier)
}

// known returns the object of a name, and warns if it is certain, or likely, that there is none.
func known[T metav1.Object](r *report, path *field.Path, kind string, key types.NamespacedName, all bool, objects []T) (found T) {
	var here, elsewhere []string
	for _, object := range objects {
		switch {
		case object.GetDeletionTimestamp() != nil:
		case object.GetName() == key.Name && object.GetNamespace() == key.Namespace:
			return object
		case object.GetName() == key.Name:
			elsewhere = append(elsewhere, object.GetNamespace())
		case object.GetNamespace() == key.Namespace:
			here = append(here, object.GetName())
		}
	}
	slices.Sort(here)
	fix := "create it, or correct the reference"
	if near := nearest(key.Name, here); near != "" {
		fix, all = fmt.Sprintf("did you mean %s?", near), true
	} else if len(elsewhere) > 0 {
		fix, all = fmt.Sprintf("did you mean namespace: %s? There is one of this name", slices.Min(elsewhere)), true
	}
	if all {
		r.add(UnknownReference, Warn, path, fix, "there is no %s %s, so this peer stands for nobody", kind, key)
	} else {
		r.find(NotJudged, path, "give its manifest as well, or ask the cluster with --cluster", "%s %s is not given, so whether this peer stands for anybody is not known", kind, key)
	}
	return found
}

// besidesItself leaves out an AppTier, which cannot be what it refers to.
func besidesItself(app *v1alpha1.AppTier, all []*v1alpha1.AppTier) []*v1alpha1.AppTier {
	return slices.DeleteFunc(slices.Clone(all), func(other *v1alpha1.AppTier) bool { return other.Namespace == app.Namespace && other.Name == app.Name })
}

// checkAgreements finds peers that are there and cannot be peers: tiers whose owner does not agree, and
// Services that stand for no pods. It is what the controller reports of them.
func checkAgreements(r *report, in *appView) {
	for _, reference := range in.Expansion.Unresolved {
		// Of names that nothing has, checkReferences knows more; of ports, who has all pods of the Service.
		if finding := FindingOf(reference); finding.Check == PeerNotAccepted || finding.Check == PeerSelectsNothing {
			r.findings = append(r.findings, finding)
		}
	}
}

// FindingOf is a reference that stands for nobody as a finding.
func FindingOf(reference expand.Unresolved) Finding {
	check := UnknownReference
	switch {
	case reference.Reason == v1alpha1.ReasonPeerNotAccepted:
		check = PeerNotAccepted
	case reference.Reason == v1alpha1.ReasonUnsupportedRef:
		check = PeerSelectsNothing
	case reference.Missing.Ports != "":
		check = NamedPortUnresolved
	}
	return Finding{Check: check, Severity: Warn, Path: Path(reference.Path), Message: reference.Message, Fix: reference.Fix}
}

// environmentOf is what a world knows of what an AppTier refers to.
func environmentOf(app *v1alpha1.AppTier, world World) expand.Environment {
	references, env := model.ReferencesOf(app), expand.DefaultEnvironment()
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	env.Services = map[types.NamespacedName]expand.Service{}
	for _, other := range world.AppTiers {
		key := types.NamespacedName{Namespace: other.Namespace, Name: other.Name}
		if slices.Contains(references.AppTiers, key) && other.DeletionTimestamp.IsZero() && len(WithSeverity(AppTier(other), Reject)) == 0 {
			env.AppTiers[key] = other
		}
	}
	for _, service := range world.Services {
		key := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
		if slices.Contains(references.Services, key) {
			env.Services[key] = expand.ServiceOf(service, podsIn(service.Namespace, world))
		}
	}
	return env
}
