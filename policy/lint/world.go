package lint

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

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

// view is an Index, and the policy judged in it.
type view struct {
	*Index
	policy *knownPolicy
	// here is what is in the policy's namespace, and namespaces are all that are known to exist.
	here       *contents
	namespaces []*contents
	selecting  map[memberOf][]*knownPolicy
	matched    map[string]matches
}

// matches are the pods that a peer matches, and those of them that it means: pods on their node's network
// are the node to every policy.
type matches struct{ all, meant []*knownPod }

func newView(policy *networkingv1.NetworkPolicy, index *Index) *view {
	v := &view{Index: index, policy: knownPolicyOf(policy), here: index.at(policy.Namespace), namespaces: index.sorted, selecting: map[memberOf][]*knownPolicy{}, matched: map[string]matches{}}
	if i, found := slices.BinarySearchFunc(v.namespaces, v.here, compareContents); !found {
		v.namespaces = slices.Insert(slices.Clone(v.namespaces), i, v.here)
	}
	return v
}

func isSame(a, b *knownPolicy) bool { return a.Namespace == b.Namespace && a.Name == b.Name }

// others are the other policies of the judged one's namespace.
func (v *view) others() []*knownPolicy {
	return where(v.here.policies, func(other *knownPolicy) bool { return !isSame(other, v.policy) })
}

// knowsNamespaces says whether there are no namespaces but those known.
func (v *view) knowsNamespaces() bool { return v.whole && v.known.Namespaces }

// knowsPods says whether the pods of a namespace are known. One without any may be about to be
// filled: policies are best applied first.
func (v *view) knowsPods(in *contents) bool { return v.known.Pods && len(in.pods) > 0 }

// subjects are the pods that the judged policy selects and applies to: on their node's network they
// are the node to every policy.
func (v *view) subjects() []*knownPod { return onPodNetwork(v.here.selected(v.policy)) }

// peers are the pods that a peer of the judged policy matches, also those on their node's network,
// which it does not mean.
func (v *view) peers(box space.Box) []*knownPod {
	var parts [][]*knownPod
	for _, c := range v.namespaces {
		if len(c.pods) > 0 && box.Match(space.Namespace, c.labels) {
			parts = append(parts, c.matching(box, space.Peer))
		}
	}
	return slices.Concat(parts...)
}

// peersOf are the peers of a clause of the judged policy.
func (v *view) peersOf(direction networkingv1.PolicyType, clause space.Clause) matches {
	path := clausePath(direction, clause).String()
	peers, found := v.matched[path]
	if !found {
		all := v.peers(clause.Box)
		peers = matches{all, onPodNetwork(all)}
		v.matched[path] = peers
	}
	return peers
}

// onPodNetwork leaves out pods on their node's network; the list stays as it is.
func onPodNetwork(pods []*knownPod) []*knownPod {
	isOnNode := func(pod *knownPod) bool { return pod.onNode }
	if !slices.ContainsFunc(pods, isOnNode) {
		return pods
	}
	return slices.DeleteFunc(slices.Clone(pods), isOnNode)
}

func where[T any](list []T, wanted func(T) bool) []T {
	var out []T
	for _, item := range list {
		if wanted(item) {
			out = append(out, item)
		}
	}
	return out
}

// addressesOf returns the addresses of a pod; none if it has none yet.
func addressesOf(pod *corev1.Pod) []netip.Addr {
	var out []netip.Addr
	add := func(text string) {
		if address, err := netip.ParseAddr(text); err == nil {
			out = append(out, address.Unmap())
		}
	}
	if pod.Status.PodIP != "" {
		add(pod.Status.PodIP)
	}
	for _, ip := range pod.Status.PodIPs {
		add(ip.IP)
	}
	return out
}
