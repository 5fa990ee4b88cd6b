package kube

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// APIServer is the Service that the API server keeps for itself.
var APIServer = types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}

// Selects says whether a Service leads to a pod: one without a selector leads to none.
func Selects(service *corev1.Service, pod *corev1.Pod) bool {
	if service.Namespace != pod.Namespace || len(service.Spec.Selector) == 0 {
		return false
	}
	for key, value := range service.Spec.Selector {
		if has, found := pod.Labels[key]; !found || has != value {
			return false
		}
	}
	return true
}

// TargetPorts are the numbers, each once and sorted, at which a port of a Service reaches the pods behind it among
// some pods; none if it is a name that none of them declares. An unset target port is the port itself
// (core/v1 ServicePort.TargetPort).
func TargetPorts(service *corev1.Service, port corev1.ServicePort, pods []*corev1.Pod) []int32 {
	if port.TargetPort.Type == intstr.Int {
		return []int32{cmp.Or(port.TargetPort.IntVal, port.Port)}
	}
	var behind []*corev1.Pod
	for _, pod := range pods {
		if Selects(service, pod) {
			behind = append(behind, pod)
		}
	}
	return PortsNamed(behind, port.TargetPort.StrVal, Protocol(port.Protocol))
}
