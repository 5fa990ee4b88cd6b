package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hint says what may have been meant by a selector that matches none of the candidates: the label
// that is the fewest letters away from one that it asks for.
func hint(selector *metav1.LabelSelector, candidates []map[string]string, what string) string {
	have := map[string]bool{}
	for _, set := range candidates {
		for key, value := range set {
			have[key+"="+value] = true
		}
	}
	labels := slices.Sorted(maps.Keys(have))
	for _, wanted := range wantedLabels(selector) {
		if have[wanted] {
			continue
		}
		key, _, _ := strings.Cut(wanted, "=")
		if near := cmp.Or(nearest(wanted, withKey(labels, key)), nearest(wanted, labels)); near != "" {
			return fmt.Sprintf("did you mean %s? There are %s with it", strings.Replace(near, "=", ": ", 1), what)
		}
	}
	return "correct the selector, or ignore this if the " + what + " are still to come"
}

// isNear says whether a hint names a label.
func isNear(hint string) bool { return strings.HasPrefix(hint, "did you mean") }

// wantedLabels are the labels that a selector asks for by value, as key=value, sorted.
func wantedLabels(selector *metav1.LabelSelector) []string {
	var out []string
	for key, value := range selector.MatchLabels {
		out = append(out, key+"="+value)
	}
	for _, requirement := range selector.MatchExpressions {
		if requirement.Operator == metav1.LabelSelectorOpIn {
			for _, value := range requirement.Values {
				out = append(out, requirement.Key+"="+value)
			}
		}
	}
	slices.Sort(out)
	return out
}

func withKey(labels []string, key string) []string {
	return slices.DeleteFunc(slices.Clone(labels), func(label string) bool { return !strings.HasPrefix(label, key+"=") })
}

func labelsOfPods(pods []*corev1.Pod) []map[string]string {
	out := make([]map[string]string, 0, len(pods))
	for _, pod := range pods {
		out = append(out, pod.Labels)
	}
	return out
}
