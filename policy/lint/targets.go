package lint

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/world"
)

// servicesOf calls yield with each Service of the namespaces of pods, and those of the pods that are
// in its namespace.
func servicesOf(pods []*world.Pod) iter.Seq2[*corev1.Service, []*world.Pod] {
	in := map[*world.Namespace][]*world.Pod{}
	for _, pod := range pods {
		in[pod.In] = append(in[pod.In], pod)
	}
	return func(yield func(*corev1.Service, []*world.Pod) bool) {
		for _, of := range slices.SortedFunc(maps.Keys(in), func(a, b *world.Namespace) int { return cmp.Compare(a.Name, b.Name) }) {
			for _, service := range of.Services {
				if !yield(service, in[of]) {
					return
				}
			}
		}
	}
}

func listens(pod *world.Pod, port connset.Port) bool {
	return slices.ContainsFunc(pod.Ports, func(declared corev1.ContainerPort) bool {
		return connset.PortOf(declared.Protocol, declared.ContainerPort) == port
	})
}

// targetOf returns where a port of a Service leads among some pods.
func targetOf(service *corev1.Service, port corev1.ServicePort, pods []*world.Pod) (connset.Port, bool) {
	for _, pod := range pods {
		if !kube.Selects(service, pod.Pod) {
			continue
		}
		for _, number := range kube.TargetPorts(service, port, []*corev1.Pod{pod.Pod}) {
			return connset.PortOf(port.Protocol, number), true
		}
	}
	return connset.Port{}, false
}
