package lint

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hint says what may have been meant by a selector that matches none of the candidates: a value that
// is a few letters away, or a key.
func hint(selector *metav1.LabelSelector, candidates iter.Seq[label], what string) string {
	for _, wanted := range wantedLabels(selector) {
		key, value := wanted[0], wanted[1]
		values, keys := map[string]bool{}, map[string]bool{}
		for candidate := range candidates {
			if candidate.key == key {
				values[candidate.value] = true
			}
			if candidate.value == value {
				keys[candidate.key] = true
			}
		}
		if values[value] {
			continue
		}
		if near := nearest(value, sorted(values)); near != "" {
			return fmt.Sprintf("did you mean %s: %s? There are %s with it", key, near, what)
		}
		if near := nearest(key, sorted(keys)); near != "" {
			return fmt.Sprintf("did you mean %s: %s? There are %s with it", near, value, what)
		}
	}
	return "correct the selector, or ignore this if the " + what + " are still to come"
}

func sorted(words map[string]bool) []string { return slices.Sorted(maps.Keys(words)) }

// isNear says whether a hint names a label.
func isNear(hint string) bool { return strings.HasPrefix(hint, "did you mean") }

// wantedLabels are the keys and values that a selector asks for, sorted.
func wantedLabels(selector *metav1.LabelSelector) [][2]string {
	var out [][2]string
	for key, value := range selector.MatchLabels {
		out = append(out, [2]string{key, value})
	}
	for _, requirement := range selector.MatchExpressions {
		if requirement.Operator == metav1.LabelSelectorOpIn {
			for _, value := range requirement.Values {
				out = append(out, [2]string{requirement.Key, value})
			}
		}
	}
	slices.SortFunc(out, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return out
}

// labelsOfPods are the labels that pods of namespaces have, some more than once.
func labelsOfPods(of ...*contents) iter.Seq[label] {
	return func(yield func(label) bool) {
		for _, c := range of {
			for l := range c.labelled {
				if !yield(l) {
					return
				}
			}
		}
	}
}

// labelsOfNamespaces are those that namespaces have which are known to exist.
func (v *view) labelsOfNamespaces(yield func(label) bool) {
	for _, c := range v.namespaces {
		if !c.exists {
			continue
		}
		for key, value := range c.labels {
			if !yield(label{key, value}) {
				return
			}
		}
	}
}
