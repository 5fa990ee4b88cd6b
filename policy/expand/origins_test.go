package expand_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// Every peer of every rule has one origin. Without what stands there, the peer is not in the policy on
// these ports: nothing else declares it.
func TestOriginsAreWhereItIsDeclared(t *testing.T) {
	removed, internet := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		app, other := drawAppTier(t), drawOther(t)
		env := environment(other)
		origins := expand.Origins(app, env)
		peers := 0
		for _, policy := range expand.NetworkPolicies(app, env) {
			for _, rule := range policy.Spec.Ingress {
				peers += max(1, len(rule.From))
			}
			for _, rule := range policy.Spec.Egress {
				peers += max(1, len(rule.To))
			}
		}
		if len(origins) != peers {
			t.Fatalf("%d peers have %d origins: %+v", peers, len(origins), origins)
		}
		if len(origins) == 0 {
			return
		}
		origin := rapid.SampledFrom(origins).Draw(t, "origin")
		less := app.DeepCopy()
		for _, path := range origin.Paths {
			if !removePeer(less, path) {
				return // a setting, or servers of DNS
			}
		}
		if origin.IsInternet {
			internet++
		}
		removed++
		peer, ports := peerAt(expand.NetworkPolicies(app, env), origin)
		if isThere(expand.NetworkPolicies(less, env), origin, peer, ports) {
			t.Fatalf("%+v on %+v is in %s without %v", peer, ports, origin.Policy, origin.Paths)
		}
	})
	if !testing.Short() && (removed == 0 || internet == 0) { // a fifth of the draws may well have none
		t.Errorf("%d were removed, %d of the internet: the property holds for no reason", removed, internet)
	}
}

// removePeer empties a peer of a rule, so that it stands for nobody; false if the path is another one.
func removePeer(app *v1alpha1.AppTier, path string) bool {
	var tier, rule, peer int
	switch {
	case scans(path, "spec.tiers[%d].ingress[%d].from[%d]", &tier, &rule, &peer):
		app.Spec.Tiers[tier].Ingress[rule].From[peer] = v1alpha1.Peer{}
	case scans(path, "spec.tiers[%d].egress[%d].to[%d]", &tier, &rule, &peer):
		app.Spec.Tiers[tier].Egress[rule].To[peer] = v1alpha1.Peer{}
	case scans(path, "spec.everyTier.ingress[%d].from[%d]", &rule, &peer):
		app.Spec.EveryTier.Ingress[rule].From[peer] = v1alpha1.Peer{}
	case scans(path, "spec.everyTier.egress[%d].to[%d]", &rule, &peer):
		app.Spec.EveryTier.Egress[rule].To[peer] = v1alpha1.Peer{}
	default:
		return false
	}
	return true
}

func scans(path, format string, into ...any) bool {
	n, err := fmt.Sscanf(path, format, into...)
	return err == nil && n == len(into)
}

// peersOn returns the peers and ports of the rules of an origin's policy in its direction; nil peers are everyone.
func peersOn(
	policies []*networkingv1.NetworkPolicy, origin expand.Origin,
) (peers [][]networkingv1.NetworkPolicyPeer, ports [][]networkingv1.NetworkPolicyPort) {
	for _, policy := range policies {
		switch {
		case policy.Name != origin.Policy:
		case origin.Direction == networkingv1.PolicyTypeIngress:
			for _, rule := range policy.Spec.Ingress {
				peers, ports = append(peers, rule.From), append(ports, rule.Ports)
			}
		default:
			for _, rule := range policy.Spec.Egress {
				peers, ports = append(peers, rule.To), append(ports, rule.Ports)
			}
		}
	}
	return peers, ports
}

// peerAt is the peer of an origin, nil for everyone, with the ports of its rule.
func peerAt(
	policies []*networkingv1.NetworkPolicy, origin expand.Origin,
) (*networkingv1.NetworkPolicyPeer, []networkingv1.NetworkPolicyPort) {
	peers, ports := peersOn(policies, origin)
	if len(peers[origin.Rule]) == 0 {
		return nil, ports[origin.Rule]
	}
	return &peers[origin.Rule][origin.Peer], ports[origin.Rule]
}

func isThere(
	policies []*networkingv1.NetworkPolicy, origin expand.Origin, peer *networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort,
) bool {
	peers, portsOf := peersOn(policies, origin)
	for i := range peers {
		isPeer := func(p networkingv1.NetworkPolicyPeer) bool { return peer != nil && cmp.Equal(p, *peer) }
		if cmp.Equal(portsOf[i], ports) && (peer == nil && len(peers[i]) == 0 || slices.ContainsFunc(peers[i], isPeer)) {
			return true
		}
	}
	return false
}
