package cli

import (
	"fmt"
	"slices"

	"github.com/agnivade/levenshtein"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
)

// unresolved is a reference of an AppTier that stands for nobody.
type unresolved struct {
	expand.Unresolved
	source object
}

func (u unresolved) finding() finding {
	return finding{source: u.source, Finding: lint.Finding{
		Check: lint.Check(u.Reason), Severity: lint.Warn, Path: u.Path, Message: u.Message, Fix: u.Fix,
	}}
}

// unresolved are the findings of references, with what may have been meant. Manifests are seldom all
// there is: there, that something is missing is reported only if what is there shows a mistake.
func (s *scene) unresolved(references []unresolved) []finding {
	var findings []finding
	for _, u := range references {
		f := u.finding()
		near := s.nearest(u.Missing)
		if near != "" {
			f.Fix = "did you mean " + near + "? Otherwise " + u.Fix
		}
		if near != "" || s.shows(u.Missing) {
			findings = append(findings, f)
		}
	}
	return findings
}

// shows says whether a scene is enough to know that something is missing.
func (s *scene) shows(what expand.Missing) bool {
	switch {
	case s.whole, what.Kind == "", what.Tier != "":
		return true
	case what.Ports != "":
		return slices.ContainsFunc(s.objects(), func(o object) bool {
			pod := podOf(o.Object)
			return pod != nil && pod.Namespace == what.Key.Namespace
		})
	default:
		return false
	}
}

// nearest is what may have been meant by the name of what is missing, or nothing.
func (s *scene) nearest(what expand.Missing) string {
	switch {
	case what.Tier != "":
		for _, app := range appTiers(s.objects()) {
			if app.Namespace == what.Key.Namespace && app.Name == what.Key.Name {
				return nearestName(what.Tier, tierNames(app.AppTier))
			}
		}
	case what.Kind == "AppTier" && what.Key.Name != "":
		return nearestOf[*v1alpha1.AppTier](s, what)
	case what.Kind == "Service" && what.Ports == "":
		return nearestOf[*corev1.Service](s, what)
	}
	return ""
}

func tierNames(app *v1alpha1.AppTier) []string {
	var names []string
	for _, tier := range app.Spec.Tiers {
		names = append(names, tier.Name)
	}
	return names
}

// nearestOf looks among the objects of the namespace, and then for the name in others.
func nearestOf[T metav1.Object](s *scene, what expand.Missing) string {
	var names, namespaces []string
	for _, o := range s.objects() {
		candidate, ok := o.Object.(T)
		switch {
		case !ok:
		case candidate.GetNamespace() == what.Key.Namespace:
			names = append(names, candidate.GetName())
		case candidate.GetName() == what.Key.Name:
			namespaces = append(namespaces, candidate.GetNamespace())
		}
	}
	if near := nearestName(what.Key.Name, slices.DeleteFunc(names, func(n string) bool { return n == what.Key.Name })); near != "" {
		return near
	}
	if len(namespaces) > 0 {
		slices.Sort(namespaces)
		return fmt.Sprintf("the one in namespace %s", namespaces[0])
	}
	return ""
}

// nearestName is the name that is at most a third of the letters away, or nothing.
func nearestName(name string, candidates []string) string {
	slices.Sort(candidates)
	best, distance := "", len(name)/3+1
	for _, candidate := range candidates {
		if d := levenshtein.ComputeDistance(name, candidate); d <= distance && (best == "" || d < distance) {
			best, distance = candidate, d
		}
	}
	return best
}
