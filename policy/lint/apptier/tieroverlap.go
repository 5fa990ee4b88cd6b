package apptier

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/model"
)

// TierOverlap reports where a pod is in two tiers.
var TierOverlap = register(check.Check{
	ID: "tier-overlap", Severity: check.Reject, About: check.OfAppTiers,
	Title: "A pod in two tiers",
	Text: `Policies add up, so a pod in two tiers may do what either may, and a rule for one tier also applies to the
other. Reported if one selector includes the other, or if a pod has the labels of both. That a pod could have both is not
enough: any pod could have the labels of two tiers. If the other tier is in another AppTier, the finding is a warning.`,
})

// tierOf is a tier, and the pods that it selects.
type tierOf struct {
	app  *v1alpha1.AppTier
	tier *v1alpha1.Tier
	pods connset.Box
}

// tiersOf are the tiers of an AppTier whose selectors can be read and say anything.
func tiersOf(app *v1alpha1.AppTier) (tiers []tierOf, paths []*field.Path) {
	for i := range app.Spec.Tiers {
		tier := &app.Spec.Tiers[i]
		box, err := connset.Everything().WhereSelected(connset.Subject, &tier.PodSelector)
		if err == nil && !words.IsEmpty(&tier.PodSelector) && !box.IsEmpty() {
			tiers, paths = append(tiers, tierOf{app, tier, box}), append(paths, model.Tier(i).Path().Child("podSelector"))
		}
	}
	return tiers, paths
}

// Overlaps finds pods that are in two tiers, which may do what either may. Any pod could have the labels of two tiers, so
// this reports selectors of which one includes the other, and pods that exist. It refuses an overlap inside an AppTier,
// and warns about other AppTiers, which may have other owners.
func Overlaps(app *v1alpha1.AppTier, w world.World) []check.Finding {
	r := &check.Report{}
	tiers, paths := tiersOf(app)
	var others []tierOf
	for _, other := range besides(app, w) {
		more, _ := tiersOf(other)
		others = append(others, more...)
	}
	pods := slices.DeleteFunc(w.PodsIn(app.Namespace), func(pod *corev1.Pod) bool { return pod.Spec.HostNetwork })
	for i, tier := range tiers {
		for _, first := range tiers[:i] {
			if who := inBoth(first, tier, first.knownAmong(tier.knownAmong(pods, w), w)); who != "" {
				r.Find(TierOverlap, paths[i], "let each tier select by a label that the pods of the other do not have",
					"%s: a pod in two tiers may do what either may", who)
			}
		}
		for _, other := range others {
			if who := inBoth(other, tier, other.knownAmong(tier.knownAmong(pods, w), w)); who != "" {
				r.Add(TierOverlap, check.Warn, paths[i], "let each select by a label that the pods of the other do not have, or declare the tier once",
					"%s: a pod in two tiers may do what either may", who)
			}
		}
	}
	return r.Findings
}

// inBoth names pods that are certainly in two tiers, the first of which may be another AppTier's; "" for none.
func inBoth(first, second tierOf, pods []*corev1.Pod) string {
	if first.pods.Intersect(second.pods).IsEmpty() {
		return ""
	}
	firstName, secondName := "tier "+first.tier.Name, "tier "+second.tier.Name
	if first.app != second.app {
		firstName += " of AppTier " + first.app.Name
	}
	for _, pod := range pods {
		if first.pods.Match(connset.Subject, pod.Labels) && second.pods.Match(connset.Subject, pod.Labels) {
			return fmt.Sprintf("pod %s is in %s and in %s", words.Pod(pod), firstName, secondName)
		}
	}
	firsts, seconds := []connset.Box{first.pods}, []connset.Box{second.pods}
	switch {
	case world.IsWithin(seconds, firsts):
		return fmt.Sprintf("every pod of %s is in %s as well", secondName, firstName)
	case world.IsWithin(firsts, seconds):
		return fmt.Sprintf("every pod of %s is in %s as well", firstName, secondName)
	default:
		return ""
	}
}

// knownAmong are the pods that are known to be in the tier or not: none if it selects by labels that only a cluster
// knows.
func (t tierOf) knownAmong(pods []*corev1.Pod, w world.World) []*corev1.Pod {
	if slices.ContainsFunc(t.pods.Labels(connset.Subject), func(key string) bool { return slices.Contains(w.UnknownLabels, key) }) {
		return nil
	}
	return pods
}
