package scene

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/suggest"
)

// StandIn is a pod that does not exist. Its name says so: no pod's has a slash.
type StandIn struct {
	*corev1.Pod
	// unknown are keys of labels that it will have, with values that only a cluster knows.
	Unknown []string
}

// IsStandIn says whether a pod is one that does not exist, by its name.
func IsStandIn(pod *corev1.Pod) bool { return strings.ContainsAny(pod.Name, "/ ") }

// standInsFor are pods as a workload makes them. Where two can run at the same time there are two, since
// what a pod sends itself is no matter of policies.
func standInsFor(workload *kube.Workload) []StandIn {
	pods := workload.Pods
	name := strings.ToLower(workload.Kind) + "/"
	if len(pods) == 1 {
		return standInsNamed(pods[0], workload.Unknown, name+pods[0].Name, workload.Several)
	}
	var out []StandIn
	for _, pod := range pods {
		out = append(out, standInsNamed(pod, workload.Unknown, name+pod.Name, false)...)
	}
	return out
}

func standInsNamed(of *corev1.Pod, unknown []string, name string, several bool) []StandIn {
	named := func(name string) StandIn {
		pod := of.DeepCopy()
		pod.Name = name
		return StandIn{pod, unknown}
	}
	if !several {
		return []StandIn{named(name)}
	}
	return []StandIn{named(name + "[0]"), named(name + "[1]")}
}

// standForLabels has pods stand in that a selector would find.
func (e *End) standForLabels(namespace string, set map[string]string, name string) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: set}}
	e.standFor(standInsNamed(pod, nil, name, true))
}

func (e *End) standFor(pods []StandIn) {
	for _, pod := range pods {
		e.StandIns = append(e.StandIns, pod)
		e.add(pod.Pod)
	}
}

func (e *End) add(pod *corev1.Pod) {
	e.Pods = append(e.Pods, pod)
	e.Endpoints = append(e.Endpoints, reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}})
}

// Note says which pods stand in.
func (e *End) Note() string {
	var sets []string
	for _, pod := range e.StandIns {
		set := "without labels"
		if stable := suggest.StableLabels(pod.Pod); len(stable) > 0 {
			set = "labelled " + report.LabelWords(stable)
		}
		if !slices.Contains(sets, set) {
			sets = append(sets, set)
		}
	}
	if len(e.StandIns) == 1 {
		return fmt.Sprintf("%s has no pod yet; one %s stands in", e.Text, sets[0])
	}
	return fmt.Sprintf("%s has no pods yet; %d %s stand in", e.Text, len(e.StandIns), strings.Join(sets, " or "))
}

// candidate is a pod, or one that a workload would make.
type candidate struct {
	*corev1.Pod
	// standIn is set for what a workload would make.
	standIn *StandIn
}

// podsMatching are the pods of a namespace that have not finished, and those that workloads would make
// of which there is no pod.
func (s *Scene) podsMatching(namespace string, selector labels.Selector) []candidate {
	var out []candidate
	pods := s.pods(namespace)
	for _, pod := range pods {
		if selector.Matches(labels.Set(pod.Labels)) {
			out = append(out, candidate{Pod: pod})
		}
	}
	for _, o := range s.Objects() {
		workload := kube.WorkloadOf(o.Object)
		if workload == nil || len(workload.Pods) == 0 || workload.Pods[0].Namespace != namespace || slices.ContainsFunc(pods, workload.Makes) {
			continue
		}
		for _, pod := range standInsFor(workload) {
			if selector.Matches(labels.Set(pod.Labels)) {
				out = append(out, candidate{pod.Pod, &pod})
			}
		}
	}
	return out
}

// pods are those of a namespace that have not finished.
func (s *Scene) pods(namespace string) []*corev1.Pod {
	var out []*corev1.Pod
	for _, o := range s.Objects() {
		if pod, ok := o.Object.(*corev1.Pod); ok && pod.Namespace == namespace && !kube.Finished(pod) {
			out = append(out, pod)
		}
	}
	return out
}

// choose takes the candidates.
func (e *End) choose(candidates []candidate) {
	for _, c := range candidates {
		if c.standIn != nil {
			e.StandIns = append(e.StandIns, *c.standIn)
		}
		e.add(c.Pod)
	}
}
