package lint

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/space"
)

// NetworkPolicy returns what [Index.NetworkPolicy] does in a world that is asked only once.
func NetworkPolicy(policy *networkingv1.NetworkPolicy, world World) []Finding {
	return NewIndex(world).NetworkPolicy(policy)
}

// NetworkPolicy returns everything that is wrong or doubtful about a hand-written NetworkPolicy in a
// world. A check is exact, or it is silent: it never guesses. What the API server would refuse is
// judged alone, since the rest has no meaning then.
func (x *Index) NetworkPolicy(policy *networkingv1.NetworkPolicy) []Finding {
	r := &report{}
	checkValid(r, policy)
	if len(r.findings) > 0 {
		return r.findings
	}
	v := newView(policy, x)
	for _, check := range []func(*report, *view){
		checkTypes, checkEveryone, checkBlocks,
		checkSubjects, checkPeers, checkPorts,
		checkDNSReached, checkHealthChecks, checkHalves, checkRedundant, checkWidening,
	} {
		check(r, v)
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
func clausePath(direction networkingv1.PolicyType, clause space.Clause) *field.Path {
	if clause.Peer < 0 {
		return rulesPath(direction).Index(clause.Rule)
	}
	return peersPath(direction, clause.Rule).Index(clause.Peer)
}

// peerOf returns the peer of a clause; nil for everyone.
func peerOf(direction networkingv1.PolicyType, clause space.Clause) *networkingv1.NetworkPolicyPeer {
	if clause.Peer < 0 {
		return nil
	}
	return &space.Rules(clause.Policy, direction)[clause.Rule].Peers[clause.Peer]
}
