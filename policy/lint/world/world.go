// Package world is the known part of a cluster, prepared for judging policies and AppTiers.
package world

import (
	"net/netip"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/policy/kube"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
)

// World is the known part of the cluster that a NetworkPolicy or an AppTier is judged in. A check that needs what is not
// known is silent.
type World struct {
	// Whole says that the lists are complete. Otherwise there may be more objects, for example in files
	// outside the input.
	Whole bool
	// Known says which lists are known: a known empty list means that there are no such objects.
	Known Parts

	Namespaces []*corev1.Namespace
	// AppTiers that exist. They may include the judged one, before or after the change. Those that are
	// being deleted match nothing.
	AppTiers []*v1alpha1.AppTier
	// Pods may be made from the templates of workloads.
	Pods []*corev1.Pod
	// UnknownLabels are keys of labels of some Pods whose values are not known. What depends on them is
	// not judged.
	UnknownLabels []string
	Services      []*corev1.Service
	// Policies are all NetworkPolicies except those of AppTiers. They may include the judged one, before
	// or after the change.
	Policies []*networkingv1.NetworkPolicy
	// Generated are the NetworkPolicies of the enforced AppTiers.
	Generated []*networkingv1.NetworkPolicy
	// MorePods says that there may be unknown pods, which operators make from objects of their own
	// kinds.
	MorePods bool
	// Backends are the known Services that the API server calls.
	Backends []Backend
	// ServiceNetworks are the ranges that Services get their addresses from; empty if that is not known.
	ServiceNetworks []netip.Prefix
	// DNSService is a further Service of the cluster's DNS, beside those with the usual labels and
	// names; empty for none.
	DNSService types.NamespacedName
	// PodNetworks are the ranges that pods get their addresses from; empty if that is not known.
	PodNetworks []netip.Prefix
}

// Parts are the lists of a World.
type Parts struct{ Namespaces, AppTiers, Pods, Services, Policies bool }

// Of makes a world of objects: a list is known if there is an object of its kind. Workloads count as their
// pods, one for each different set of labels. NetworkPolicies are always known; those with the labels of an
// AppTier count as its policies. Other kinds are ignored.
func Of(objects []runtime.Object) World {
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

// ServiceNetworksOf returns the ranges of Services' addresses in an object. An object that is being deleted keeps its
// ranges until no address is in use.
func ServiceNetworksOf(object *networkingv1.ServiceCIDR) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range object.Spec.CIDRs {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			out = append(out, prefix)
		}
	}
	return out
}

// IsGenerated says whether a policy has the labels of an AppTier's policy.
func IsGenerated(policy *networkingv1.NetworkPolicy) bool {
	return policy.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && policy.Labels[v1alpha1.LabelAppTier] != ""
}

// PodsIn are the pods of a namespace that are not finished, by name.
func (w World) PodsIn(namespace string) []*corev1.Pod {
	var out []*corev1.Pod
	for _, pod := range w.Pods {
		if pod.Namespace == namespace && !kube.Finished(pod) {
			out = append(out, pod)
		}
	}
	return byName(out)
}
