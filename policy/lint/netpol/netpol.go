// Package netpol has the checks of NetworkPolicies: each is a file, which registers it.
package netpol

import (
	"embed"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// Judge returns everything that is wrong or doubtful about a hand-written NetworkPolicy in a world. A check is exact or
// silent: it never guesses. A policy that the API server would refuse is not judged further, because it has no meaning.
// If work.Err is not nil, the work exceeded its limit, and the result means nothing.
func Judge(x *world.Index, policy *networkingv1.NetworkPolicy, work *check.Work) []check.Finding {
	r := &check.Report{}
	checkValid(r, policy)
	if len(r.Findings) > 0 || !work.Spend(world.StepsOf(policy)) {
		return r.Findings
	}
	v := newView(policy, inPolicy{}, x, work)
	onlyByItself := x.AsksUnknown(v.Policy) // which pods it means, only a cluster can say
	for _, c := range check.All() {
		run := runs[c.ID]
		if run == nil || onlyByItself && !c.ByItself {
			continue
		}
		if run(r, v); work.Err() != nil {
			return nil
		}
	}
	return r.Findings
}

// JudgeTier runs the checks that also apply to AppTiers on the policy that a person would write for a tier. Places say
// where the parts of the policy are written.
func JudgeTier(x *world.Index, policy *networkingv1.NetworkPolicy, in Places, work *check.Work) []check.Finding {
	r, v := &check.Report{OfTier: true}, newView(policy, in, x, work)
	for _, c := range check.All() {
		if c.Tiers {
			runs[c.ID](r, v)
		}
	}
	return r.Findings
}

//go:embed examples
var examples embed.FS

// runs are the functions that make the checks, by check. Some also make others.
var runs = map[check.ID]func(*check.Report, *view){}

// register adds a check of this package, and returns its ID.
func register(c check.Check) check.ID { return check.Register(c, examples) }

var specPath = field.NewPath("spec")

// rulesPath is the path of a direction's rules.
func rulesPath(direction networkingv1.PolicyType) *field.Path {
	return specPath.Child(word(direction))
}

// peersPath is the path of a rule's peers.
func peersPath(direction networkingv1.PolicyType, rule int) *field.Path {
	if direction == ingress {
		return rulesPath(direction).Index(rule).Child("from")
	}
	return rulesPath(direction).Index(rule).Child("to")
}

// clausePath is the path of the peer or rule that a clause comes from.
func clausePath(direction networkingv1.PolicyType, clause connset.Clause) *field.Path {
	if clause.Peer < 0 {
		return rulesPath(direction).Index(clause.Rule)
	}
	return peersPath(direction, clause.Rule).Index(clause.Peer)
}

func word(direction networkingv1.PolicyType) string { return strings.ToLower(string(direction)) }

func opposite(direction networkingv1.PolicyType) networkingv1.PolicyType {
	if direction == ingress {
		return egress
	}
	return ingress
}

// rulesIn is how many clauses there are to look at.
func rulesIn(policies []*world.Policy, direction networkingv1.PolicyType) int {
	n := 1
	for _, policy := range policies {
		n += len(policy.Clauses(direction))
	}
	return n
}

const (
	ingress = networkingv1.PolicyTypeIngress
	egress  = networkingv1.PolicyTypeEgress
)
