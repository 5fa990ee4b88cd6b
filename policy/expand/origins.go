package expand

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// Origin says where an AppTier declares a peer of a rule of one of its policies.
type Origin struct {
	// Policy is the policy's name.
	Policy    string
	Direction networkingv1.PolicyType
	// Rule and Peer are positions in the policy. Peer is 0 where the rule is for everyone, as it names no peer.
	Rule, Peer int
	// Paths are the fields of the AppTier, each once and sorted, such as spec.tiers[0].ingress[0].from[0]; of
	// what is allowed by default, the setting that says so, such as spec.dns. There is at least one.
	Paths []string
	// IsInternet says that one of them is a peer internet: {}, one part of which this peer is.
	IsInternet bool
}

// Origins says of every peer of every rule of the policies that Expand returns where it is declared.
func Origins(app *v1alpha1.AppTier, env Environment) []Origin {
	x := newExpansion(app, env)
	x.origins, x.internetAt = &[]Origin{}, map[model.Place]bool{}
	x.expand()
	return *x.origins
}

func (r *mergedRule) record(at model.Place, peers peerSet) {
	if r.origins == nil {
		r.origins = map[string][]model.Place{}
	}
	if peers.everyone {
		r.origins[""] = append(r.origins[""], at)
	}
	for _, peer := range peers.of {
		r.origins[peer.key] = append(r.origins[peer.key], at)
	}
}

func (x *expansion) record(policy string, direction networkingv1.PolicyType, index int, rule policyRule) {
	if x.origins == nil {
		return
	}
	for i, places := range rule.origins {
		origin := Origin{Policy: policy, Direction: direction, Rule: index, Peer: i}
		for _, at := range places {
			origin.Paths = append(origin.Paths, at.String())
			origin.IsInternet = origin.IsInternet || x.internetAt[at]
		}
		slices.Sort(origin.Paths)
		origin.Paths = slices.Compact(origin.Paths)
		*x.origins = append(*x.origins, origin)
	}
}
