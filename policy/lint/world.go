package lint

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/space"
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
	Pods     []*corev1.Pod
	Services []*corev1.Service
	// Policies are all NetworkPolicies but those of AppTiers. The one that is judged may be among
	// them, as it is or as it was.
	Policies []*networkingv1.NetworkPolicy
	// Generated are the NetworkPolicies that the enforced AppTiers stand for.
	Generated []*networkingv1.NetworkPolicy
	// PodNetworks are the ranges that pods get their addresses from; empty if that is not known.
	PodNetworks []netip.Prefix
}

// Parts are the lists of a World.
type Parts struct{ Namespaces, AppTiers, Pods, Services, Policies bool }

// wellKnownNamespaces exist in every cluster.
var wellKnownNamespaces = []string{"default", "kube-node-lease", "kube-public", "kube-system"}

// view is a World, and the policy judged in it.
type view struct {
	World
	policy *networkingv1.NetworkPolicy
	// namespaces are the labels of those that are known to exist.
	namespaces map[string]map[string]string
	pods       map[string][]*corev1.Pod
	policies   map[string][]*networkingv1.NetworkPolicy
	clauses    map[clauseKey][]space.Clause
}

type clauseKey struct {
	policy    *networkingv1.NetworkPolicy
	direction networkingv1.PolicyType
}

func newView(policy *networkingv1.NetworkPolicy, world World) *view {
	v := &view{World: world, policy: policy,
		namespaces: map[string]map[string]string{},
		pods:       map[string][]*corev1.Pod{},
		policies:   map[string][]*networkingv1.NetworkPolicy{policy.Namespace: {policy}},
		clauses:    map[clauseKey][]space.Clause{},
	}
	for _, namespace := range world.Namespaces {
		v.namespaces[namespace.Name] = labels.Merge(namespace.Labels, labels.Set{corev1.LabelMetadataName: namespace.Name})
	}
	for _, pod := range world.Pods {
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			v.pods[pod.Namespace] = append(v.pods[pod.Namespace], pod)
		}
	}
	for _, pods := range v.pods {
		slices.SortFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	}
	for _, other := range slices.Concat(world.Policies, world.Generated) {
		if !isSame(other, policy) {
			v.policies[other.Namespace] = append(v.policies[other.Namespace], other)
		}
	}
	return v
}

func isSame(a, b *networkingv1.NetworkPolicy) bool {
	return a.Namespace == b.Namespace && a.Name == b.Name
}

// others are the other policies of the judged one's namespace.
func (v *view) others() []*networkingv1.NetworkPolicy { return v.policies[v.policy.Namespace][1:] }

func (v *view) clausesOf(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []space.Clause {
	key := clauseKey{policy, direction}
	if _, found := v.clauses[key]; !found {
		v.clauses[key] = space.Clauses(policy, direction)
	}
	return v.clauses[key]
}

// labelsOf returns the labels of a namespace; what is not known about it is not there.
func (v *view) labelsOf(namespace string) map[string]string {
	if set, found := v.namespaces[namespace]; found {
		return set
	}
	return map[string]string{corev1.LabelMetadataName: namespace}
}

// namespaceNames are all that are known to exist, sorted.
func (v *view) namespaceNames() []string {
	names := slices.Concat(slices.Collect(maps.Keys(v.namespaces)), slices.Collect(maps.Keys(v.pods)), wellKnownNamespaces, []string{v.policy.Namespace})
	slices.Sort(names)
	return slices.Compact(names)
}

// knowsNamespaces says whether there are no namespaces but those known.
func (v *view) knowsNamespaces() bool { return v.Whole && v.Known.Namespaces }

// knowsPods says whether the pods of a namespace are known. One without any may be about to be
// filled: policies are best applied first.
func (v *view) knowsPods(namespace string) bool { return v.Known.Pods && len(v.pods[namespace]) > 0 }

// subjects are the pods that the judged policy selects and applies to: on their node's network they
// are the node to every policy.
func (v *view) subjects() []*corev1.Pod {
	return onPodNetwork(v.selected(v.policy))
}

// selected are the pods that a policy selects.
func (v *view) selected(policy *networkingv1.NetworkPolicy) []*corev1.Pod {
	box := space.Selected(policy)
	return where(v.pods[policy.Namespace], func(pod *corev1.Pod) bool { return !box.IsEmpty() && box.Match(space.Subject, pod.Labels) })
}

// peers are the pods that a peer of the judged policy matches, also those on their node's network,
// which it does not mean.
func (v *view) peers(box space.Box) []*corev1.Pod {
	var out []*corev1.Pod
	for _, namespace := range slices.Sorted(maps.Keys(v.pods)) {
		if box.Match(space.Namespace, v.labelsOf(namespace)) {
			out = append(out, where(v.pods[namespace], func(pod *corev1.Pod) bool { return box.Match(space.Peer, pod.Labels) })...)
		}
	}
	return out
}

func onPodNetwork(pods []*corev1.Pod) []*corev1.Pod {
	return where(pods, func(pod *corev1.Pod) bool { return !pod.Spec.HostNetwork })
}

func where(pods []*corev1.Pod, wanted func(*corev1.Pod) bool) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool { return !wanted(pod) })
}

// addressesOf returns the addresses of a pod; none if it has none yet.
func addressesOf(pod *corev1.Pod) []netip.Addr {
	var out []netip.Addr
	for _, text := range append([]corev1.PodIP{{IP: pod.Status.PodIP}}, pod.Status.PodIPs...) {
		if address, err := netip.ParseAddr(text.IP); err == nil {
			out = append(out, address.Unmap())
		}
	}
	return out
}
