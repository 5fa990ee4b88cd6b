package agent

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// trim drops what policies do not look at before an object is kept: most of a pod's bytes, and
// there are many pods.
func trim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		return trimPod(o), nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: trimMeta(o.ObjectMeta)}, nil
	case *corev1.Node:
		node := &corev1.Node{ObjectMeta: trimMeta(o.ObjectMeta)}
		node.Labels = nil
		node.Spec.PodCIDR, node.Spec.PodCIDRs = o.Spec.PodCIDR, o.Spec.PodCIDRs
		node.Status.Addresses = o.Status.Addresses
		return node, nil
	case *networkingv1.NetworkPolicy:
		return &networkingv1.NetworkPolicy{ObjectMeta: trimMeta(o.ObjectMeta), Spec: o.Spec}, nil
	default:
		return object, nil // a tombstone of a deleted object
	}
}

func trimPod(o *corev1.Pod) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: trimMeta(o.ObjectMeta),
		Spec: corev1.PodSpec{
			NodeName:       o.Spec.NodeName,
			HostNetwork:    o.Spec.HostNetwork,
			Containers:     trimContainers(o.Spec.Containers),
			InitContainers: trimContainers(o.Spec.InitContainers),
		},
		Status: corev1.PodStatus{
			Phase:   o.Status.Phase,
			PodIP:   o.Status.PodIP,
			PodIPs:  o.Status.PodIPs,
			HostIP:  o.Status.HostIP,
			HostIPs: o.Status.HostIPs,
		},
	}
}

// trimContainers keeps the containers that name ports.
func trimContainers(containers []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for _, c := range containers {
		if len(c.Ports) > 0 {
			out = append(out, corev1.Container{Ports: c.Ports, RestartPolicy: c.RestartPolicy})
		}
	}
	return out
}

func trimMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp, Labels: m.Labels,
	}
}
