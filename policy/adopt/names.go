package adopt

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// ownerLabels say which application a pod is a part of, and kindLabels which part, the clearest first
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/).
var (
	ownerLabels = []string{"app.kubernetes.io/part-of", "app.kubernetes.io/instance"}
	kindLabels  = []string{"app.kubernetes.io/component", "component", "app.kubernetes.io/name", "app", "k8s-app", "tier", "role", "name"}
)

// owner names the application that the pods of a subject are a part of; empty if nothing says so.
func (s *subject) owner() string {
	for _, label := range ownerLabels {
		if name := asLabel(s.commonLabel(label)); name != "" {
			return name
		}
	}
	return ""
}

// tierName is what people call the pods of a subject: by their workload, or else by their labels.
func (s *subject) tierName(app string) string {
	var workloads []string
	for _, pod := range s.pods {
		if !slices.Contains(workloads, pod.Workload) {
			workloads = append(workloads, pod.Workload)
		}
	}
	if len(workloads) == 1 && workloads[0] != "" {
		return cmp.Or(asLabel(strings.TrimPrefix(workloads[0], app+"-")), s.labelName())
	}
	return s.labelName()
}

func (s *subject) labelName() string {
	for _, label := range kindLabels {
		if name := asLabel(s.selector.MatchLabels[label]); name != "" {
			return name
		}
	}
	if len(s.selector.MatchLabels) == 1 && len(s.selector.MatchExpressions) == 0 {
		for key, value := range s.selector.MatchLabels {
			if name := asLabel(value); name != "" && value != "true" {
				return name
			}
			return cmp.Or(asLabel(key[strings.LastIndex(key, "/")+1:]), "pods")
		}
	}
	return cmp.Or(asLabel(s.policies[0].Name), "pods")
}

var notOfLabels = regexp.MustCompile(`[^a-z0-9-]+`)

// asLabel is a text as a DNS label; empty if nothing is left of it.
func asLabel(text string) string {
	text = strings.Trim(notOfLabels.ReplaceAllString(strings.ToLower(text), "-"), "-")
	if len(text) > validation.DNS1123LabelMaxLength {
		text = strings.Trim(text[:validation.DNS1123LabelMaxLength], "-")
	}
	return text
}

// free is the name, or the first with a number that is not taken.
func free(name string, isTaken func(string) bool) string {
	candidate := name
	for i := 2; isTaken(candidate); i++ {
		end := fmt.Sprintf("-%d", i)
		candidate = name[:min(len(name), validation.DNS1123LabelMaxLength-len(end))] + end
	}
	return candidate
}
