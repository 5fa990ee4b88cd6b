package kube_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/kube"
)

// Any object with a pod template is a workload, whatever its kind, and wherever the template is.
func TestWorkloadsByTheirShape(t *testing.T) {
	const template = "{metadata: {labels: {app: a}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}"
	for name, test := range map[string]struct {
		spec string
		pods int
	}{
		"a Rollout":                        {"{template: " + template + "}", 1},
		"a template of another name":       {"{podTemplate: " + template + "}", 1},
		"a template of a template":         {"{jobTemplate: {spec: {template: " + template + "}}}", 1},
		"one for each of several roles":    {"{head: {template: " + template + "}, workers: [{template: " + template + "}, {template: " + template + "}]}", 3},
		"containers without a template":    {"{containers: [{name: c}]}", 0},
		"a template of something else":     {"{template: {spec: {destination: here}}}", 0},
		"a template without any container": {"{template: {spec: {containers: []}}}", 0},
		"containers that are none":         {"{template: {spec: {containers: [1, 2]}}}", 0},
		"nothing":                          {"{}", 0},
		"no object":                        {"[1, {a: 2}]", 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte("{apiVersion: example.com/v1, kind: Thing, metadata: {name: t, namespace: ns}, spec: "+test.spec+"}"), &o.Object); err != nil {
				t.Fatal(err)
			}
			w := kube.WorkloadOf(o)
			if w == nil {
				if test.pods > 0 {
					t.Error("is no workload")
				}
				return
			}
			if len(w.Pods) != test.pods || w.Kind != "Thing" || !w.Several {
				t.Fatalf("is %+v", w)
			}
			names := map[string]bool{}
			for _, pod := range w.Pods {
				names[pod.Name] = true
				if pod.Namespace != "ns" || pod.Labels["app"] != "a" || pod.Spec.Containers[0].Ports[0].Name != "http" {
					t.Errorf("has the pod %s/%s of %v", pod.Namespace, pod.Name, pod.Labels)
				}
			}
			if len(names) != test.pods || !names["t"] {
				t.Errorf("has pods of the names %v", names)
			}
		})
	}
}
