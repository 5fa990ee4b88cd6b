package lint

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
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

// view is an Index, and the policy judged in it.
type view struct {
	*Index
	policy *knownPolicy
	// places say where it is written.
	places places
	// here is what is in the policy's namespace, and namespaces are all that are known to exist.
	here       *contents
	namespaces []*contents
	selecting  map[memberOf][]*knownPolicy
	matched    map[peerAt]matches
	// ofNamespaces are the answers of wholeNamespaces.
	ofNamespaces map[ruleOf][]int
	// selected are the subjects, once they are asked for.
	selected *[]*knownPod
	work     *Work
}

// ruleOf is a rule of the judged policy.
type ruleOf struct {
	direction networkingv1.PolicyType
	index     int
}

// peerAt is a peer of the judged policy; -1 for everyone.
type peerAt struct {
	ruleOf
	peer int
}

// matches are the pods that a peer matches, and those of them that it means: pods on their node's network
// are the node to every policy.
type matches struct{ all, meant []*knownPod }

func newView(policy *networkingv1.NetworkPolicy, index *Index, work *Work) *view {
	v := &view{Index: index, policy: knownPolicyOf(policy), places: inPolicy{}, here: index.at(policy.Namespace), namespaces: index.sorted, work: work}
	v.selecting, v.matched, v.ofNamespaces = map[memberOf][]*knownPolicy{}, map[peerAt]matches{}, map[ruleOf][]int{}
	if i, found := slices.BinarySearchFunc(v.namespaces, v.here, compareContents); !found {
		v.namespaces = slices.Insert(slices.Clone(v.namespaces), i, v.here)
	}
	return v
}

// isSame says whether two are one policy, as it is and as it was. Without a name yet, each is its own.
func isSame(a, b *knownPolicy) bool {
	return a.NetworkPolicy == b.NetworkPolicy || a.Name != "" && a.Namespace == b.Namespace && a.Name == b.Name
}

// others are the other policies of the judged one's namespace.
func (v *view) others() []*knownPolicy {
	return where(v.here.policies, func(other *knownPolicy) bool { return !isSame(other, v.policy) })
}

// knowsNamespaces says whether there are no namespaces but those known.
func (v *view) knowsNamespaces() bool { return v.whole && v.known.Namespaces }

// knowsPods says whether the pods of a namespace are known. One without any may be about to be
// filled: policies are best applied first. Where operators make pods, there may be more.
func (v *view) knowsPods(in *contents) bool { return v.known.Pods && !v.morePods && len(in.pods) > 0 }

// knowsPolicies says whether all policies of the judged one's namespace are known: of a whole cluster, or
// where the pods that it is for are given, for then their policies are as well. A policy alone may be one
// of many.
func (v *view) knowsPolicies() bool {
	return v.known.Policies && (v.whole || len(v.here.selected(v.policy)) > 0)
}

// subjects are the pods that the judged policy selects and applies to: on their node's network they
// are the node to every policy.
func (v *view) subjects() []*knownPod {
	if v.selected == nil {
		pods := onPodNetwork(v.here.selected(v.policy))
		v.selected = &pods
	}
	return *v.selected
}

// peers are the pods that a peer of the judged policy matches, also those on their node's network,
// which it does not mean.
func (v *view) peers(box connset.Box) []*knownPod {
	var parts [][]*knownPod
	if !v.work.spend(len(v.namespaces)) {
		return nil
	}
	for _, c := range v.namespaces {
		if len(c.pods) > 0 && box.Match(connset.Namespace, c.labels) {
			parts = append(parts, v.matching(c, box, connset.Peer))
		}
	}
	return slices.Concat(parts...)
}

// peersOf are the peers of a clause of the judged policy.
func (v *view) peersOf(direction networkingv1.PolicyType, clause connset.Clause) matches {
	at := peerAt{ruleOf{direction, clause.Rule}, clause.Peer}
	peers, found := v.matched[at]
	if !found {
		all := v.peers(clause.Box)
		peers = matches{all, onPodNetwork(all)}
		v.matched[at] = peers
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
