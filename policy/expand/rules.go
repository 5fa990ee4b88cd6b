package expand

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/model"
)

// peerSet is a set of peers. Everyone and nobody are said in words, because in a NetworkPolicy an
// empty list of peers means everyone: nothing else may ever become one.
type peerSet struct {
	everyone bool
	of       []keyedPeer
}

// keyedPeer is a peer and its canonical text. Policies of one expansion share their peers.
type keyedPeer struct {
	key  string
	peer networkingv1.NetworkPolicyPeer
}

func keyed(peer networkingv1.NetworkPolicyPeer) keyedPeer { return keyedPeer{canonical(peer), peer} }

// policyRule is one ingress or egress rule of a NetworkPolicy.
type policyRule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
	// origins are where each peer is declared, if that is recorded; of everyone, there is one.
	origins [][]model.Place
}

// ruleSet collects the rules of one direction of one policy, and merges those with the same ports.
type ruleSet struct {
	byPorts map[string]*mergedRule
	// records says that origins are wanted too.
	records bool
}

type mergedRule struct {
	ports    []networkingv1.NetworkPolicyPort
	everyone bool
	peers    map[string]networkingv1.NetworkPolicyPeer
	// origins are where peers are declared, by their keys; of everyone, by the empty one.
	origins map[string][]model.Place
}

func (x *expansion) newRuleSet() *ruleSet {
	return &ruleSet{byPorts: map[string]*mergedRule{}, records: x.origins != nil}
}

// add allows every peer on every port, declared at a place. Without a peer, or without a port, it adds nothing.
func (s *ruleSet) add(at model.Place, peers peerSet, ports model.Ports) {
	if !peers.everyone && len(peers.of) == 0 || ports.IsEmpty() {
		return
	}
	sorted := ports.Sorted()
	key := portsKey(sorted)
	rule, ok := s.byPorts[key]
	if !ok {
		rule = &mergedRule{ports: sorted.OfPolicy(), peers: map[string]networkingv1.NetworkPolicyPeer{}}
		s.byPorts[key] = rule
	}
	rule.everyone = rule.everyone || peers.everyone
	for _, peer := range peers.of {
		rule.peers[peer.key] = peer.peer
	}
	if s.records {
		rule.record(at, peers)
	}
}

func (s *ruleSet) isEmpty() bool { return len(s.byPorts) == 0 }

// sorted returns the rules in an order that depends on nothing but their meaning.
func (s *ruleSet) sorted() []policyRule {
	var rules []policyRule
	for _, key := range slices.Sorted(maps.Keys(s.byPorts)) {
		merged := s.byPorts[key]
		rule := policyRule{ports: merged.ports}
		if !merged.everyone { // everyone includes the others
			for _, peer := range slices.Sorted(maps.Keys(merged.peers)) {
				rule.peers = append(rule.peers, merged.peers[peer])
				rule.origins = append(rule.origins, merged.origins[peer])
			}
		} else {
			rule.origins = [][]model.Place{merged.origins[""]}
		}
		rules = append(rules, rule)
	}
	return rules
}

// portsKey sorts like the numbers of ports; the key of all ports is first.
func portsKey(ports model.Ports) string {
	if ports.All {
		return ""
	}
	var key []byte
	for _, port := range ports.Of {
		key = binary.BigEndian.AppendUint16(key, uint16(port.Start))
		key = binary.BigEndian.AppendUint16(key, uint16(port.End))
		key = append(key, port.Protocol...)
	}
	return string(key)
}

// canonical is a text that is equal exactly for values of equal meaning: JSON sorts map keys.
func canonical(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // plain data always marshals
		panic(fmt.Sprintf("marshalling %T: %v", v, err))
	}
	return string(text)
}
