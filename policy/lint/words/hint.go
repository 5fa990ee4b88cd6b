package words

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Hint suggests a correction for a selector that matches none of the candidates: a value or a key that differs in a few
// letters.
func Hint(selector *metav1.LabelSelector, candidates iter.Seq2[string, string], what string) string {
	for _, wanted := range Wanted(selector) {
		key, value := wanted[0], wanted[1]
		values, keys := map[string]bool{}, map[string]bool{}
		for k, v := range candidates {
			if k == key {
				values[v] = true
			}
			if v == value {
				keys[k] = true
			}
		}
		if values[value] {
			continue
		}
		if near := Nearest(value, slices.Sorted(maps.Keys(values))); near != "" {
			return fmt.Sprintf("did you mean %s: %s? There are %s with it", key, near, what)
		}
		if near := Nearest(key, slices.Sorted(maps.Keys(keys))); near != "" {
			return fmt.Sprintf("did you mean %s: %s? There are %s with it", near, value, what)
		}
	}
	return "correct the selector, or ignore this if the " + what + " do not exist yet"
}

// IsNear says whether a hint names a label.
func IsNear(hint string) bool { return strings.HasPrefix(hint, "did you mean") }

// Wanted are the keys and values that a selector asks for, sorted.
func Wanted(selector *metav1.LabelSelector) [][2]string {
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
