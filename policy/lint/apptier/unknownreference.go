package apptier

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/model"
)

// UnknownReference reports where a field names something that does not exist.
var UnknownReference = register(check.Check{
	ID: "unknown-reference", Severity: check.Reject, About: check.OfAppTiers,
	Title: "A reference to something that does not exist",
	Text: `The AppTier declares no tier or port of this name. For other AppTiers, their tiers, and Services the finding is a
warning: they may be applied later, and until then the peer matches nothing.`,
})

func init() { runs[UnknownReference] = checkReferences }

// checkReferences finds references to AppTiers, their tiers, and Services that do not exist. It needs all of them, or one
// with nearly the same name: an object that is in no file may be in the cluster.
func checkReferences(r *check.Report, in *appView) {
	app, w := in.App, in.world
	others := besidesItself(app, w.AppTiers)
	each := func(peers []v1alpha1.Peer, at func(int) *field.Path) {
		for i, peer := range peers {
			switch {
			case peer.AppTier != nil:
				key := model.Key(app, peer.AppTier.Namespace, peer.AppTier.Name)
				if other := known(r, at(i).Child("appTier"),
					"AppTier", key, w.Whole && w.Known.AppTiers, others); other != nil {
					checkTierKnown(r, at(i).Child("appTier", "tier"), other, peer.AppTier.Tier)
				}
			case peer.Service != nil:
				key := model.Key(app, peer.Service.Namespace, peer.Service.Name)
				known(r, at(i).Child("service"), "Service", key, w.Whole && w.Known.Services, w.Services)
			}
		}
	}
	for rule := range model.Rules(&app.Spec) {
		each(rule.Peers, func(i int) *field.Path { return rule.PeerAt(i).Path() })
	}
	each(app.Spec.DNS.To, field.NewPath("spec", "dns", "to").Index)
}

// tierFix lists the tiers of an AppTier; it is empty if the named tier exists.
func tierFix(of string, app *v1alpha1.AppTierSpec, name string) string {
	var names []string
	for _, tier := range app.Tiers {
		names = append(names, tier.Name)
	}
	fix := "tiers of " + of + ": " + strings.Join(names, ", ")
	if slices.Contains(names, name) {
		return ""
	}
	if near := words.NearestOf(name, names); near != "" {
		return fmt.Sprintf("did you mean %s? %s", near, fix)
	}
	return fix
}

func checkTierKnown(r *check.Report, path *field.Path, other *v1alpha1.AppTier, tier string) {
	name := "AppTier " + other.Namespace + "/" + other.Name
	if fix := tierFix(name, &other.Spec, tier); fix != "" {
		r.Add(UnknownReference, check.Warn, path, fix, "%s has no tier %q, so this peer matches nothing", name, tier)
	}
}

// known returns the object of a name, and warns if certainly, or probably, there is none.
func known[T metav1.Object](r *check.Report, path *field.Path, kind string, key types.NamespacedName, all bool, objects []T) (found T) {
	for _, object := range objects { // first, and by the name first: nearly every object is another one
		if object.GetName() == key.Name && object.GetNamespace() == key.Namespace && object.GetDeletionTimestamp() == nil {
			return object
		}
	}
	var here, elsewhere []string
	for _, object := range objects {
		switch {
		case object.GetDeletionTimestamp() != nil:
		case object.GetName() == key.Name:
			elsewhere = append(elsewhere, object.GetNamespace())
		case object.GetNamespace() == key.Namespace:
			here = append(here, object.GetName())
		}
	}
	slices.Sort(here)
	fix := "create it, or correct the reference"
	if near := words.Nearest(key.Name, here); near != "" {
		fix, all = fmt.Sprintf("did you mean %s?", near), true
	} else if len(elsewhere) > 0 {
		fix, all = fmt.Sprintf("did you mean namespace: %s? It has one of this name", slices.Min(elsewhere)), true
	}
	if all {
		r.Add(UnknownReference, check.Warn, path, fix, "there is no %s %s, so this peer matches nothing", kind, key)
	} else {
		r.Find(check.NotJudged, path, "add its manifest, or ask the cluster with --cluster",
			"%s %s is not in the input, so it is not known whether this peer matches anything", kind, key)
	}
	return found
}

// besidesItself leaves out the AppTier itself, which cannot refer to itself.
func besidesItself(app *v1alpha1.AppTier, all []*v1alpha1.AppTier) []*v1alpha1.AppTier {
	return slices.DeleteFunc(slices.Clone(all),
		func(other *v1alpha1.AppTier) bool { return other.Namespace == app.Namespace && other.Name == app.Name })
}

func checkTierExists(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec, name string) {
	if fix := tierFix("this AppTier", spec, name); fix != "" {
		r.Find(UnknownReference, path, fix, "there is no tier %q in this AppTier", name)
	}
}
