// Package kube reads pods, Services, policies and the workloads that make pods as Kubernetes means them: one
// reader for everybody but policy/reach, which reads for itself because the others are tested against it. A property
// holds both readings together.
package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Ports are the ports that a pod declares in containers that run as long as it does: in its containers
// and its sidecars, which are init containers that restart always
// (https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/). Other init containers have
// ended by the time that anyone connects, and a pod that has finished listens on nothing.
func Ports(pod *corev1.Pod) []corev1.ContainerPort {
	if Finished(pod) {
		return nil
	}
	var out []corev1.ContainerPort
	for _, container := range pod.Spec.Containers {
		out = append(out, container.Ports...)
	}
	for _, container := range pod.Spec.InitContainers {
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			out = append(out, container.Ports...)
		}
	}
	return out
}

// PortsNamed are the numbers, each once and sorted, that some pods declare under a name for a protocol.
func PortsNamed(pods []*corev1.Pod, name string, protocol corev1.Protocol) []int32 {
	var out []int32
	for _, pod := range pods {
		for _, port := range Ports(pod) {
			if port.Name == name && Protocol(port.Protocol) == protocol {
				out = append(out, port.ContainerPort)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
