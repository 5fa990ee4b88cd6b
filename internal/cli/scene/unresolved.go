package scene

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/lint/check"
)

// unresolved is an unresolved reference of an AppTier.
type unresolved struct {
	expand.Unresolved
	source manifest.Object
}

func (u unresolved) finding() manifest.Finding {
	return manifest.Finding{Source: u.source, Finding: apptier.FindingOf(u.Unresolved)}
}

// missing are the findings of references that no check of policy/lint is about: it knows AppTiers and
// Services by name, and neither nodes nor the API server nor how pods call their ports.
func (s *Scene) missing(references []unresolved) []manifest.Finding {
	var findings []manifest.Finding
	for _, u := range references {
		f := u.finding()
		switch what := u.Missing; {
		case s.renamed(what.Kind, what.Key) != "":
			f.Check, f.Fix = apptier.UnknownReference, fmt.Sprintf("kustomize has renamed it: write %s, or have kustomize follow the "+
				"reference with a nameReference in its configurations", s.renamed(what.Kind, what.Key))
		case what.Ports != "" && s.hasPods(what.Key.Namespace):
		case (what.Kind == "Node" || what.Kind == "EndpointSlice") && s.whole:
			f.Check = apptier.UnknownReference
		case (what.Kind == "Node" || what.Kind == "EndpointSlice") && !s.whole:
			f.Check, f.Severity = check.NotJudged, check.Note
		default:
			continue
		}
		findings = append(findings, f)
	}
	return findings
}

// renamed returns what kustomize calls an object now that was written under a name; "" if it was not renamed.
func (s *Scene) renamed(kind string, key types.NamespacedName) string {
	for _, o := range s.Input {
		accessor, err := meta.Accessor(o.Object)
		if err == nil && o.Origin.Document.From != nil && o.Origin.Document.WrittenName == key.Name &&
			strings.HasPrefix(o.Name, kind+" ") && accessor.GetNamespace() == key.Namespace && accessor.GetName() != key.Name {
			return accessor.GetName()
		}
	}
	return ""
}

// hasPods says whether pods of a namespace are known.
func (s *Scene) hasPods(namespace string) bool {
	return s.whole || slices.ContainsFunc(s.Objects(), func(o manifest.Object) bool {
		return slices.ContainsFunc(podsOf(o.Object), func(pod *corev1.Pod) bool { return pod.Namespace == namespace })
	})
}
