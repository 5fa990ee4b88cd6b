package world

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
)

// View is an Index, and the policy judged in it.
type View struct {
	*Index
	Policy *Policy
	// Here is the policy's namespace; Namespaces are all that are known to exist.
	Here       *Namespace
	Namespaces []*Namespace
	// Work limits the judging.
	Work      *check.Work
	selecting map[Membership][]*Policy
	matched   map[peerAt]Matches
	// selected are the subjects, computed on demand.
	selected *[]*Pod
}

// peerAt is a peer of the judged policy; -1 for everyone.
type peerAt struct {
	direction  networkingv1.PolicyType
	rule, peer int
}

// Matches are the pods that a peer's selectors match, and those to which the peer applies: for policies, pods on
// their node's network are the node.
type Matches struct{ All, Meant []*Pod }

// NewView prepares a policy to be judged.
func NewView(policy *networkingv1.NetworkPolicy, index *Index, work *check.Work) *View {
	v := &View{Index: index, Policy: policyOf(policy), Here: index.At(policy.Namespace), Namespaces: index.sorted, Work: work}
	v.selecting, v.matched = map[Membership][]*Policy{}, map[peerAt]Matches{}
	if i, found := slices.BinarySearchFunc(v.Namespaces, v.Here, compareNames); !found {
		v.Namespaces = slices.Insert(slices.Clone(v.Namespaces), i, v.Here)
	}
	return v
}

// Others are the other policies of the judged one's namespace.
func (v *View) Others() []*Policy {
	return Where(v.Here.Policies, func(other *Policy) bool { return !IsSame(other, v.Policy) })
}

// KnowsNamespaces says whether all namespaces are known.
func (v *View) KnowsNamespaces() bool { return v.Whole && v.Known.Namespaces }

// KnowsPods says whether the pods of a namespace are known. A namespace without pods may get some soon,
// because policies are best applied first. Operators may make more pods.
func (v *View) KnowsPods(in *Namespace) bool { return v.Known.Pods && !v.MorePods && len(in.Pods) > 0 }

// KnowsPolicies says whether all policies of the judged one's namespace are known: in a whole cluster, or if the
// input has the pods that it selects, because then it has their policies as well. A policy alone may be one of
// many.
func (v *View) KnowsPolicies() bool {
	return v.Known.Policies && (v.Whole || len(v.Here.Selected(v.Policy)) > 0)
}

// Subjects are the pods that the judged policy selects and applies to, without pods on their node's
// network, which are the node for every policy.
func (v *View) Subjects() []*Pod {
	if v.selected == nil {
		pods := OnPodNetwork(v.Here.Selected(v.Policy))
		v.selected = &pods
	}
	return *v.selected
}

// Peers are the pods that a peer of the judged policy matches, including pods on their node's network,
// to which it does not apply.
func (v *View) Peers(box connset.Box) []*Pod {
	var parts [][]*Pod
	if !v.Work.Spend(len(v.Namespaces)) {
		return nil
	}
	for _, c := range v.NamespacesIn(box) {
		if len(c.Pods) > 0 {
			parts = append(parts, v.Matching(c, box, connset.Peer))
		}
	}
	return slices.Concat(parts...)
}

// NamespacesIn are those whose labels meet a box's conditions. Most boxes name their namespace, which is looked up.
func (v *View) NamespacesIn(box connset.Box) []*Namespace {
	isIn := func(c *Namespace) bool { return box.Match(connset.Namespace, c.Labels) }
	names, named := box.Values(connset.Label{Scope: connset.Namespace, Key: corev1.LabelMetadataName}).Listed()
	if !named {
		return Where(v.Namespaces, isIn)
	}
	var out []*Namespace
	for _, name := range names {
		i, found := slices.BinarySearchFunc(v.Namespaces, name, func(c *Namespace, name string) int { return cmp.Compare(c.Name, name) })
		if found && isIn(v.Namespaces[i]) {
			out = append(out, v.Namespaces[i])
		}
	}
	return out
}

// PeersOf are the peers of a clause of the judged policy.
func (v *View) PeersOf(direction networkingv1.PolicyType, clause connset.Clause) Matches {
	at := peerAt{direction, clause.Rule, clause.Peer}
	peers, found := v.matched[at]
	if !found {
		all := v.Peers(clause.Box)
		peers = Matches{all, OnPodNetwork(all)}
		v.matched[at] = peers
	}
	return peers
}

// Matching are the matching pods of a namespace; it spends the steps to find them.
func (v *View) Matching(c *Namespace, box connset.Box, scope connset.Scope) []*Pod {
	candidates, all := c.near(box, scope)
	if !v.Work.Spend(len(candidates)) {
		return nil
	}
	if all {
		return candidates
	}
	return Where(candidates, func(pod *Pod) bool { return box.Match(scope, pod.Labels) })
}

// OnPodNetwork returns a list without pods on their node's network; it does not change the argument.
func OnPodNetwork(pods []*Pod) []*Pod {
	isOnNode := func(pod *Pod) bool { return pod.OnNode }
	if !slices.ContainsFunc(pods, isOnNode) {
		return pods
	}
	return slices.DeleteFunc(slices.Clone(pods), isOnNode)
}

// Membership is the set of policies that select a pod: the known ones, and the judged one.
type Membership struct {
	*class
	judged bool
}

// Membership returns the membership of a pod.
func (v *View) Membership(pod *Pod) Membership {
	return Membership{pod.class, pod.In == v.Here && !v.Policy.Selected.IsEmpty() && v.Policy.Selected.Match(connset.Subject, pod.Labels)}
}

// PoliciesOf are the policies that select a pod, with the judged one in place of its old version.
func (v *View) PoliciesOf(pod *Pod) []*Policy {
	if pod.In != v.Here {
		return pod.class.policies
	}
	of := v.Membership(pod)
	policies, found := v.selecting[of]
	if !found {
		policies = Where(of.policies, func(other *Policy) bool { return !IsSame(other, v.Policy) })
		if of.judged {
			policies = slices.Insert(policies, 0, v.Policy)
		}
		v.selecting[of] = policies
	}
	return policies
}

// Union returns the policies that select a pod, and whether any isolates it in a direction: if none does, the pod may do
// anything. Policies add up, so all that select a pod together say what it may do.
func (v *View) Union(pod *Pod, direction networkingv1.PolicyType) (policies []*Policy, isolated bool) {
	policies = v.PoliciesOf(pod)
	return policies, slices.ContainsFunc(policies, func(p *Policy) bool { return p.Isolates(direction) })
}
