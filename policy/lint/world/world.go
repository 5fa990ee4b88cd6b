// Package world is what policies and AppTiers are judged in: a cluster as far as it is known, prepared to be asked.
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

// World is what a NetworkPolicy or an AppTier is judged against: the cluster it is for, as far as it is known. A
// check that needs what is not known stays silent.
type World struct {
	// Whole says that the lists are those of a whole cluster. Otherwise there may be more elsewhere:
	// in files that were not given, for example.
	Whole bool
	// Known says which of the lists mean anything: an empty one that is known has nothing to list.
	Known Parts

	Namespaces []*corev1.Namespace
	// AppTiers that exist. The one that is judged may be among them, as it is or as it was; those about
	// to go stand for nobody.
	AppTiers []*v1alpha1.AppTier
	// Pods may be those that the templates of workloads stand for.
	Pods []*corev1.Pod
	// UnknownLabels are keys of labels that some of Pods have with values that are not known. What
	// depends on them is not judged.
	UnknownLabels []string
	Services      []*corev1.Service
	// Policies are all NetworkPolicies but those of AppTiers. The one that is judged may be among
	// them, as it is or as it was.
	Policies []*networkingv1.NetworkPolicy
	// Generated are the NetworkPolicies that the enforced AppTiers stand for.
	Generated []*networkingv1.NetworkPolicy
	// MorePods says that there may be pods of which nothing is known: those that operators make of objects
	// of their own kinds.
	MorePods bool
	// Backends are what the API server calls, as far as that is known.
	Backends []Backend
	// ServiceNetworks are the ranges that Services get their addresses from; empty if that is not known.
	ServiceNetworks []netip.Prefix
	// DNSService is the Service of the cluster's DNS, beside those that are known by their labels and
	// names; empty for no other.
	DNSService types.NamespacedName
	// PodNetworks are the ranges that pods get their addresses from; empty if that is not known.
	PodNetworks []netip.Prefix
}

// Parts are the lists of a World.
type Parts struct{ Namespaces, AppTiers, Pods, Services, Policies bool }

// Of returns what objects say about a world: a part of it is known if there is an object of
// the part. Workloads stand for their pods, as far as those differ in their labels. NetworkPolicies are
// known in any case, and those that bear the labels of an AppTier's are taken for what it stands for.
// Other kinds are ignored.
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
