package lint

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
)

// WorldOf returns what objects say about a world: a part of it is known if there is an object of
// the part. Workloads stand for their pods, as far as those differ in their labels. NetworkPolicies are
// known in any case, and those that bear the labels of an AppTier's are taken for what it stands for.
// Other kinds are ignored.
func WorldOf(objects []runtime.Object) World {
	w := World{Known: Parts{Policies: true}}
	for _, object := range objects {
		switch o := object.(type) {
		case *corev1.Namespace:
			w.Namespaces = append(w.Namespaces, o)
		case *v1alpha1.AppTier:
			w.AppTiers = append(w.AppTiers, o)
		case *corev1.Pod:
			w.Pods = append(w.Pods, o)
		case *corev1.Service:
			w.Services = append(w.Services, o)
		case *networkingv1.NetworkPolicy:
			if IsGenerated(o) {
				w.Generated = append(w.Generated, o)
			} else {
				w.Policies = append(w.Policies, o)
			}
		case *networkingv1.ServiceCIDR:
			w.ServiceNetworks = append(w.ServiceNetworks, ServiceNetworksOf(o)...)
		default:
			if workload := kube.WorkloadOf(object); workload != nil {
				w.Pods = append(w.Pods, workload.Pods...)
				w.UnknownLabels = append(w.UnknownLabels, workload.Unknown...)
			}
			w.Backends = append(w.Backends, BackendsOf(object)...)
		}
	}
	w.Known.Namespaces, w.Known.AppTiers = len(w.Namespaces) > 0, len(w.AppTiers) > 0
	w.Known.Pods, w.Known.Services = len(w.Pods) > 0, len(w.Services) > 0
	return w
}

// ServiceNetworksOf returns the ranges that an object has Services get their addresses from. One that is about
// to go gives its addresses until none of them is used.
func ServiceNetworksOf(object *networkingv1.ServiceCIDR) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range object.Spec.CIDRs {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			out = append(out, prefix)
		}
	}
	return out
}

// IsGenerated says whether a policy bears the labels of one that an AppTier stands for.
func IsGenerated(policy *networkingv1.NetworkPolicy) bool {
	return policy.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && policy.Labels[v1alpha1.LabelAppTier] != ""
}
