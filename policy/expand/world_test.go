package expand_test

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/model"
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
	{"istiod", "istio-system", "none", addr("10.244.1.8")},
	{"node", "", "", addr("172.18.0.3")},
	{"apiserver", "", "", addr("172.18.0.2")},
	{"kubernetes", "", "", addr("10.96.0.1")},
	{"outside", "", "", addr("8.8.8.8")},
	{"metadata", "", "", addr("169.254.169.254")},
}

var world = func() reach.Snapshot {
	var s reach.Snapshot
	for _, name := range []string{"app", "elsewhere", "kube-system", "istio-system"} {
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
		if p.name == "istiod" {
			labels["app"] = "istiod"
		}
		s.Pods = append(s.Pods, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: p.name, Namespace: p.namespace, Labels: labels},
			Spec:       corev1.PodSpec{NodeName: "n1"},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: p.address.String()}}},
		})
	}
	return s
}()

// environment is what is around an AppTier of namespace app: a Service, a node, the API server, and
// another AppTier.
func environment(other *v1alpha1.AppTier) expand.Environment {
	env := expand.DefaultEnvironment()
	env.Nodes = []netip.Addr{addr("172.18.0.3")}
	env.APIServer = expand.APIServer{
		Endpoints: []expand.Listener{{Addresses: []netip.Addr{addr("172.18.0.2")}, Ports: []model.Port{{Protocol: corev1.ProtocolTCP, Start: 443}}}},
		Service:   expand.Listener{Addresses: []netip.Addr{addr("10.96.0.1")}, Ports: []model.Port{{Protocol: corev1.ProtocolTCP, Start: 443}}},
	}
	env.Services = map[types.NamespacedName]expand.Service{{Namespace: "elsewhere", Name: "svc"}: {
		PodSelector: map[string]string{"tier": "a"},
		TargetPorts: []model.Port{{Protocol: corev1.ProtocolTCP, Start: 80}, {Protocol: corev1.ProtocolUDP, Start: 53}},
	}}
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{{Namespace: other.Namespace, Name: other.Name}: other}
	return env
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func (p place) endpoint() reach.Endpoint {
	if p.namespace == "" {
		return reach.Endpoint{Address: p.address}
	}
	return reach.Endpoint{Pod: types.NamespacedName{Namespace: p.namespace, Name: p.name}, Address: p.address}
}
