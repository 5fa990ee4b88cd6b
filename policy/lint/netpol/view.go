package netpol

import (
	"iter"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// view is the world that a policy is judged in, and the places where the policy is written.
type view struct {
	*world.View
	places Places
	// ofNamespaces are the answers of wholeNamespaces.
	ofNamespaces map[ruleAt][]int
}

// ruleAt is a rule of the judged policy.
type ruleAt struct {
	direction networkingv1.PolicyType
	index     int
}

func newView(policy *networkingv1.NetworkPolicy, in Places, index *world.Index, work *check.Work) *view {
	return &view{world.NewView(policy, index, work), in, map[ruleAt][]int{}}
}

// isTier says whether the policy represents a tier of an AppTier.
func (v *view) isTier() bool {
	_, isPolicy := v.places.(inPolicy)
	return !isPolicy
}

// clausePlace is the place of the peer or rule that a clause comes from, for messages.
func (v *view) clausePlace(direction networkingv1.PolicyType, clause connset.Clause) *field.Path {
	if clause.Peer < 0 {
		return v.places.Rule(direction, clause.Rule)
	}
	return v.places.Peer(direction, clause.Rule, clause.Peer)
}

// clauseField is the path of a field of the peer or rule that a clause comes from, or of the whole if name is empty; nil
// if another check judges it.
func (v *view) clauseField(direction networkingv1.PolicyType, clause connset.Clause, name string) *field.Path {
	if clause.Peer < 0 {
		return v.places.Rule(direction, clause.Rule)
	}
	return v.places.PeerField(direction, clause.Rule, clause.Peer, name)
}

// wholeNamespaces are the positions of a rule's peers that are all pods of certain namespaces.
func (v *view) wholeNamespaces(direction networkingv1.PolicyType, rule int) []int {
	key := ruleAt{direction, rule}
	out, found := v.ofNamespaces[key]
	if !found {
		for i, peer := range world.PeersOfRule(v.Policy.NetworkPolicy, direction, rule) {
			if peer.PodSelector == nil && !words.IsEmpty(peer.NamespaceSelector) {
				out = append(out, i)
			}
		}
		v.ofNamespaces[key] = out
	}
	v.Work.Spend(len(out))
	return out
}

// podPeers yields the peers of the policy's rules that are pods, and spends a step on each.
func (v *view) podPeers() iter.Seq2[networkingv1.PolicyType, connset.Clause] {
	return func(yield func(networkingv1.PolicyType, connset.Clause) bool) {
		for _, direction := range []networkingv1.PolicyType{ingress, egress} {
			for _, clause := range v.Policy.Clauses(direction) {
				if peer := world.PeerOf(direction, clause); peer == nil || peer.IPBlock != nil {
					continue
				}
				if !v.Work.Spend(1) || !yield(direction, clause) {
					return
				}
			}
		}
	}
}

// candidates are the namespaces with pods that a peer is about; the pods are known if those of every
// such namespace are.
func (v *view) candidates(peer *networkingv1.NetworkPolicyPeer, box connset.Box) (of []*world.Namespace, known bool) {
	if peer.NamespaceSelector != nil && !v.Whole {
		if _, named := box.Values(connset.Label{Scope: connset.Namespace, Key: corev1.LabelMetadataName}).Listed(); !named {
			return nil, false
		}
	}
	for _, c := range v.NamespacesIn(box) {
		if !v.Whole && !v.KnowsPods(c) {
			return nil, false
		}
		if len(c.Pods) > 0 {
			of = append(of, c)
		}
	}
	return of, v.Known.Pods && !v.MorePods
}

// perhapsUnion is the most that may be allowed to pods that the policy selects: every policy counts that could select
// one of them.
func (v *view) perhapsUnion() []connset.Clause {
	policies := world.Where(v.Others(), func(other *world.Policy) bool { return other.Selected.Overlaps(v.Policy.Selected) })
	return world.ClausesOf(slices.Insert(policies, 0, v.Policy), egress)
}

// Places say where the parts of a judged policy are written: in a NetworkPolicy, or in the AppTier whose tier it
// represents.
type Places interface {
	// Rules are all of a direction, and Rule is one of them.
	Rules(direction networkingv1.PolicyType) *field.Path
	Rule(direction networkingv1.PolicyType, rule int) *field.Path
	// Peer is one of a rule, as texts name it.
	Peer(direction networkingv1.PolicyType, rule, peer int) *field.Path
	// PeerField is a field of a peer, or the peer itself if it is empty; nil if it is judged otherwise.
	PeerField(direction networkingv1.PolicyType, rule, peer int, name string) *field.Path
	// Port is the number or name of one of a rule's ports; nil if the rule is for others as well.
	Port(direction networkingv1.PolicyType, rule, port int) *field.Path
}

// inPolicy are the places of a NetworkPolicy.
type inPolicy struct{}

func (inPolicy) Rules(direction networkingv1.PolicyType) *field.Path { return rulesPath(direction) }

func (inPolicy) Rule(direction networkingv1.PolicyType, rule int) *field.Path {
	return rulesPath(direction).Index(rule)
}

func (inPolicy) Peer(direction networkingv1.PolicyType, rule, peer int) *field.Path {
	return peersPath(direction, rule).Index(peer)
}

func (p inPolicy) PeerField(direction networkingv1.PolicyType, rule, peer int, name string) *field.Path {
	path := p.Peer(direction, rule, peer)
	if name == "" {
		return path
	}
	return path.Child(name)
}

func (inPolicy) Port(direction networkingv1.PolicyType, rule, port int) *field.Path {
	return rulesPath(direction).Index(rule).Child("ports").Index(port).Child("port")
}
