package kube

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Finished tells whether a pod has run its course, so that its addresses are no longer its own: its phase
// is Succeeded or Failed, or it is being removed with nothing to wait for. The kubelet deletes a pod with
// a grace period of 0 when its containers have ended; the API server writes that into the object, and
// then removes it (updateForGracefulDeletionAndFinalizers in k8s.io/apiserver's generic registry).
func Finished(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return true
	}
	grace := pod.DeletionGracePeriodSeconds
	return pod.DeletionTimestamp != nil && grace != nil && *grace == 0 && len(pod.Finalizers) == 0
}

// Addresses are those of a pod's status, its primary one first, each once: of its node, if the pod is on its
// node's network. IPv4 addresses that are written as IPv6 are IPv4. What is no address is left out.
func Addresses(pod *corev1.Pod) []netip.Addr {
	var out []netip.Addr
	add := func(text string) {
		if address, err := netip.ParseAddr(text); err == nil && !slices.Contains(out, address.Unmap()) {
			out = append(out, address.Unmap())
		}
	}
	add(pod.Status.PodIP)
	for _, ip := range pod.Status.PodIPs {
		add(ip.IP)
	}
	return out
}
