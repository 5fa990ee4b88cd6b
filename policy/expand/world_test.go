package expand_test

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/reach"
)

// place is an end of a flow: a pod, or an address outside.
type place struct {
	name, namespace, label string
	address                netip.Addr
}

var everywhere = []place{
	{"a", "app", "a", addr("10.244.1.1")},
	{"b", "app", "b", addr("10.244.1.2")},
	{"c", "app", "c", addr("10.244.2.3")},
	{"other", "app", "none", addr("10.244.2.4")},
	{"foreign-a", "elsewhere", "a", addr("10.244.1.5")},
	{"foreign", "elsewhere", "none", addr("10.244.2.6")},
	{"dns", "kube-system", "none", addr("10.244.1.7")},
	{"outside", "", "", addr("8.8.8.8")},
	{"metadata", "", "", addr("169.254.169.254")},
}

var world = func() reach.Snapshot {
	var s reach.Snapshot
	for _, name := range []string{"app", "elsewhere", "kube-system"} {
		s.Namespaces = append(s.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{corev1.LabelMetadataName: name},
		}})
	}
	for _, p := range everywhere {
		if p.namespace == "" {
			continue
		}
		labels := map[string]string{"tier": p.label}
		if p.name == "dns" {
			labels["k8s-app"] = "kube-dns"
		}
		s.Pods = append(s.Pods, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: p.name, Namespace: p.namespace, Labels: labels},
			Spec:       corev1.PodSpec{NodeName: "n1"},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: p.address.String()}}},
		})
	}
	return s
}()

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func (p place) endpoint() reach.Endpoint {
	if p.namespace == "" {
		return reach.Endpoint{Address: p.address}
	}
	return reach.Endpoint{Pod: types.NamespacedName{Namespace: p.namespace, Name: p.name}, Address: p.address}
}
