package lint

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/connset"
)

// NetworkPolicy returns what [Index.NetworkPolicy] does in a world that is asked only once.
func NetworkPolicy(policy *networkingv1.NetworkPolicy, world World) []Finding {
	return NewIndex(world).NetworkPolicy(policy)
}

// NetworkPolicy returns everything that is wrong or doubtful about a hand-written NetworkPolicy in a
// world. A check is exact, or it is silent: it never guesses. What the API server would refuse is
// judged alone, since the rest has no meaning then.
func (x *Index) NetworkPolicy(policy *networkingv1.NetworkPolicy) []Finding {
	return x.NetworkPolicyWithin(policy, unbounded())
}

// NetworkPolicyWithin returns what [Index.NetworkPolicy] does, if that takes no more work than it may;
// work.Err says whether it did, and nothing that is returned then means anything.
func (x *Index) NetworkPolicyWithin(policy *networkingv1.NetworkPolicy, work *Work) []Finding {
	r := &report{}
	checkValid(r, policy)
	if len(r.findings) > 0 || !work.spend(1+conditionSteps*weightOf(policy)) {
		return r.findings
	}
	v := newView(policy, x, work)
	onlyByItself := x.asksUnknown(v.policy) // which pods it means, only a cluster can say
	for _, check := range all() {
		if check.Policy == nil || onlyByItself && !check.ByItself {
			continue
		}
		if check.Policy(r, v); work.err != nil {
			return nil
		}
	}
	return r.findings
}

var specPath = field.NewPath("spec")

// rulesPath is the path of a direction's rules.
func rulesPath(direction networkingv1.PolicyType) *field.Path {
	if direction == ingress {
		return specPath.Child("ingress")
	}
	return specPath.Child("egress")
}

// peersPath is the path of a rule's peers.
func peersPath(direction networkingv1.PolicyType, rule int) *field.Path {
	if direction == ingress {
		return rulesPath(direction).Index(rule).Child("from")
	}
	return rulesPath(direction).Index(rule).Child("to")
}

// clausePath is the path of what a clause stands for.
func clausePath(direction networkingv1.PolicyType, clause connset.Clause) *field.Path {
	if clause.Peer < 0 {
		return rulesPath(direction).Index(clause.Rule)
	}
	return peersPath(direction, clause.Rule).Index(clause.Peer)
}

// peerOf returns the peer of a clause; nil for everyone.
func peerOf(direction networkingv1.PolicyType, clause connset.Clause) *networkingv1.NetworkPolicyPeer {
	if clause.Peer < 0 {
		return nil
	}
	return &peersOfRule(clause.Policy, direction, clause.Rule)[clause.Peer]
}

// peersOfRule are the peers of one rule.
func peersOfRule(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType, rule int) []networkingv1.NetworkPolicyPeer {
	if direction == ingress {
		return policy.Spec.Ingress[rule].From
	}
	return policy.Spec.Egress[rule].To
}
