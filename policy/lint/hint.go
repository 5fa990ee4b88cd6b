package lint

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hint says what may have been meant by a selector that matches none of the candidates: a value that
// is a few letters away, or a key.
func hint(selector *metav1.LabelSelector, candidates []map[string]string, what string) string {
	values, keys := map[string][]string{}, map[string][]string{}
	for _, set := range candidates {
		for key, value := range set {
			values[key] = append(values[key], value)
			keys[value] = append(keys[value], key)
		}
	}
	for _, wanted := range wantedLabels(selector) {
		key, value := wanted[0], wanted[1]
		if slices.Contains(values[key], value) {
			continue
		}
		if near := nearest(value, sorted(values[key])); near != "" {
			return fmt.Sprintf("did you mean %s: %s? There are %s with it", key, near, what)
		}
		if near := nearest(key, sorted(keys[value])); near != "" {
			return fmt.Sprintf("did you mean %s: %s? There are %s with it", near, value, what)
		}
	}
	return "correct the selector, or ignore this if the " + what + " are still to come"
}

func sorted(words []string) []string { return slices.Sorted(slices.Values(words)) }

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

func labelsOfPods(pods []*corev1.Pod) []map[string]string {
	out := make([]map[string]string, 0, len(pods))
	for _, pod := range pods {
		out = append(out, pod.Labels)
	}
	return out
}
