package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ofShape reads an object of a kind that is not known here, such as Argo's Rollout: it is a workload if there
// is a pod template in it. Its operator may add any labels, and make more pods.
func ofShape(o *unstructured.Unstructured) *Workload {
	meta := metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}
	w := &Workload{Kind: o.GetKind(), Name: o.GetName(), Several: true}
	for i, template := range templatesIn(o.Object["spec"], mostLevels) {
		name := o.GetName()
		if i > 0 {
			name = fmt.Sprintf("%s-%d", name, i)
		}
		w.Pods = append(w.Pods, podOf(meta, template, name, nil))
	}
	if len(w.Pods) == 0 {
		return nil
	}
	return w
}

// mostLevels bounds how deep a template is looked for: the deepest in use are some six levels down.
const mostLevels = 12

// templatesIn returns the pod templates in a value, which are objects with containers in their spec, in
// the order of their fields.
func templatesIn(value any, levels int) []*corev1.PodTemplateSpec {
	if levels == 0 {
		return nil
	}
	var found []*corev1.PodTemplateSpec
	switch of := value.(type) {
	case []any:
		for _, item := range of {
			found = append(found, templatesIn(item, levels-1)...)
		}
	case map[string]any:
		if template := asTemplate(of); template != nil {
			return append(found, template)
		}
		for _, key := range slices.Sorted(maps.Keys(of)) {
			found = append(found, templatesIn(of[key], levels-1)...)
		}
	}
	return found
}

func asTemplate(of map[string]any) *corev1.PodTemplateSpec {
	spec, _ := of["spec"].(map[string]any)
	containers, _ := spec["containers"].([]any)
	if len(containers) == 0 {
		return nil
	}
	text, err := json.Marshal(of)
	var template corev1.PodTemplateSpec
	if err != nil || json.Unmarshal(text, &template) != nil {
		return nil // it only looks like one
	}
	return &template
}
