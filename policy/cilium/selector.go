package cilium

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/foreign"
)

const (
	namespaceName   = "io.kubernetes.pod.namespace"
	namespaceLabels = "io.cilium.k8s.namespace.labels."
)

// selectorOf reads a selector of Cilium, which has the labels of a pod's namespace among those of the pod: nil where it
// asks for none, which means the policy's own namespace.
func selectorOf(path string, value any) (pods, namespaces *metav1.LabelSelector, err error) {
	of, isObject := value.(map[string]any)
	if !isObject {
		return nil, nil, errors.New(path + ": it is no selector")
	}
	if err := foreign.Only(path, of, "matchLabels", "matchExpressions"); err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(of)
	var read metav1.LabelSelector
	if err != nil || json.Unmarshal(text, &read) != nil {
		return nil, nil, errors.New(path + ": it is no selector")
	}
	pods = &metav1.LabelSelector{}
	place := func(key string) (*metav1.LabelSelector, string, error) {
		key, isNamespace, err := labelOf(key)
		if err != nil || !isNamespace {
			return pods, key, err
		}
		if namespaces == nil {
			namespaces = &metav1.LabelSelector{}
		}
		return namespaces, key, nil
	}
	for key, value := range read.MatchLabels {
		to, name, err := place(key)
		if err != nil {
			return nil, nil, fmt.Errorf("%s.matchLabels: %w", path, err)
		}
		if has, found := to.MatchLabels[name]; found && has != value {
			return nil, nil, fmt.Errorf("%s.matchLabels: %s is there twice", path, name)
		}
		metav1.AddLabelToSelector(to, name, value)
	}
	for _, requirement := range read.MatchExpressions {
		to, name, err := place(requirement.Key)
		if err != nil {
			return nil, nil, fmt.Errorf("%s.matchExpressions: %w", path, err)
		}
		requirement.Key = name
		to.MatchExpressions = append(to.MatchExpressions, requirement)
	}
	for _, s := range []*metav1.LabelSelector{pods, namespaces} {
		if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return pods, namespaces, nil
}

// labelOf is a label as Kubernetes calls it, and whether it is one of the namespace.
func labelOf(key string) (name string, isNamespace bool, err error) {
	for _, source := range []string{"k8s:", "any:"} {
		key = strings.TrimPrefix(key, source)
	}
	label, isOfNamespace := strings.CutPrefix(key, namespaceLabels)
	switch {
	case key == namespaceName:
		return corev1.LabelMetadataName, true, nil
	case isOfNamespace:
		return label, true, nil
	case strings.HasPrefix(key, "io.cilium.") || strings.HasPrefix(key, "io.kubernetes.") || strings.Contains(key, ":"):
		return "", false, fmt.Errorf("the label %s is none of the pods' own", key)
	default:
		return key, false, nil
	}
}
