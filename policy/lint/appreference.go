package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// checkReferences finds names of AppTiers, their tiers, and Services that nothing has. It needs all of
// them, or one whose name is nearly the same: what is in no file may be in the cluster.
func checkReferences(r *report, app *v1alpha1.AppTier, world World) {
	check := func(peers []v1alpha1.Peer, at func(int) *field.Path) {
		for i, peer := range peers {
			switch {
			case peer.AppTier != nil:
				key := types.NamespacedName{Namespace: cmp.Or(peer.AppTier.Namespace, app.Namespace), Name: peer.AppTier.Name}
				checkAppTierKnown(r, at(i).Child("appTier"), key, peer.AppTier.Tier, world)
			case peer.Service != nil:
				key := types.NamespacedName{Namespace: cmp.Or(peer.Service.Namespace, app.Namespace), Name: peer.Service.Name}
				checkKnown(r, at(i).Child("service"), "Service", key, world.Whole && world.Known.Services, keysOf(world.Services))
			}
		}
	}
	for _, rule := range rulesOf(&app.Spec) {
		check(rule.peers, rule.peerPath)
	}
	check(app.Spec.DNS.To, field.NewPath("spec", "dns", "to").Index)
}

func checkAppTierKnown(r *report, path *field.Path, key types.NamespacedName, tier string, world World) {
	staying := slices.DeleteFunc(slices.Clone(world.AppTiers), func(a *v1alpha1.AppTier) bool { return !a.DeletionTimestamp.IsZero() })
	if !checkKnown(r, path, "AppTier", key, world.Whole && world.Known.AppTiers, keysOf(staying)) {
		return
	}
	i := slices.IndexFunc(staying, func(a *v1alpha1.AppTier) bool { return a.Namespace == key.Namespace && a.Name == key.Name })
	var names []string
	for _, t := range staying[i].Spec.Tiers {
		names = append(names, t.Name)
	}
	if slices.Contains(names, tier) {
		return
	}
	fix := "tiers of AppTier " + key.String() + ": " + strings.Join(names, ", ")
	if near := nearest(tier, names); near != "" {
		fix = fmt.Sprintf("did you mean %s? %s", near, fix)
	}
	r.warn(UnknownReference, path.Child("tier"), fix, "AppTier %s has no tier %q, so this peer stands for nobody", key, tier)
}

// checkKnown says whether an object is known, and warns if it is certain, or likely, that there is none.
func checkKnown(r *report, path *field.Path, kind string, key types.NamespacedName, all bool, known []types.NamespacedName) bool {
	if slices.Contains(known, key) {
		return true
	}
	var near string
	if candidate := nearest(key.Name, namesIn(key.Namespace, known)); candidate != "" {
		near = fmt.Sprintf("did you mean %s?", candidate)
	} else if i := slices.IndexFunc(known, func(k types.NamespacedName) bool { return k.Name == key.Name }); i >= 0 {
		near = fmt.Sprintf("did you mean namespace: %s? There is one of this name", known[i].Namespace)
	}
	if near != "" || all {
		r.warn(UnknownReference, path, cmp.Or(near, "create it, or correct the reference"), "there is no %s %s, so this peer stands for nobody", kind, key)
	}
	return false
}

func keysOf[T metav1.Object](objects []T) []types.NamespacedName {
	out := make([]types.NamespacedName, len(objects))
	for i, object := range objects {
		out[i] = types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
	}
	slices.SortFunc(out, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func namesIn(namespace string, keys []types.NamespacedName) []string {
	var out []string
	for _, key := range keys {
		if key.Namespace == namespace {
			out = append(out, key.Name)
		}
	}
	return out
}

// checkAgreements finds peers that are there and cannot be peers: tiers whose owner does not agree, and
// Services that stand for no pods. It is what the controller reports of them.
func checkAgreements(r *report, app *v1alpha1.AppTier, world World) {
	for _, reference := range expand.Expand(app, environmentOf(app, world)).Unresolved {
		switch reference.Reason {
		case v1alpha1.ReasonPeerNotAccepted:
			r.findings = append(r.findings, Finding{PeerNotAccepted, Warn, reference.Path, reference.Message, reference.Fix})
		case v1alpha1.ReasonUnsupportedRef:
			r.findings = append(r.findings, Finding{PeerSelectsNothing, Warn, reference.Path, reference.Message, reference.Fix})
		}
	}
}

// environmentOf is what a world knows of what an AppTier refers to.
func environmentOf(app *v1alpha1.AppTier, world World) expand.Environment {
	references, env := expand.ReferencesOf(app), expand.DefaultEnvironment()
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
