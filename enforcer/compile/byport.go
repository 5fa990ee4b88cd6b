package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/nft"
)

// numbered returns the rules that are about few ports of a protocol, all with numbers.
func (d *draft) numbered(protocol corev1.Protocol) []*shared {
	var out []*shared
	for _, s := range d.shared {
		if s.port.protocol == protocol && len(s.port.numbers()) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// dispatch returns the rule that leads from a port straight to what is allowed there: a thousand
// policies with a port each are one lookup, and not a thousand rules. A port that several rules are
// about has the peers of all of them; ports with the same rules share a chain.
func (d *draft) dispatch(protocol corev1.Protocol, numbered []*shared) nft.Rule {
	byNumber := map[int32][]*shared{}
	for _, s := range numbered {
		for _, n := range s.port.numbers() {
			byNumber[n] = append(byNumber[n], s)
		}
	}
	name := hashedName("by-port", nftProtocol[protocol]+"-"+d.group.chain, d.group.chain+" "+string(protocol))
	to := nft.Set{Key: "inet_service", Value: "verdict", Comment: remark("ports of " + d.group.chain), Elements: map[string]nft.Element{}}
	for n, all := range byNumber {
		to.Elements[strconv.Itoa(int(n))] = nft.Element{Value: "goto " + d.portChain(all)}
	}
	d.maps[name] = to
	return nft.Rule{Expr: layer4(protocol) + " " + serverPort + " vmap @" + name}
}

// portChain returns the name of the chain for the ports that all of these rules are about, and writes
// it. Its name says what is in it, so that groups share it, and a group that gets one more policy keeps it.
func (d *draft) portChain(all []*shared) string {
	exprs := make([]string, 0, len(all))
	for _, s := range all {
		exprs = append(exprs, s.port.expr)
	}
	key := strings.Join(exprs, " and ")
	if name, written := d.byPorts[key]; written {
		return name
	}
	joined := &shared{port: portMatch{expr: key}, peers: map[family]*peerSets{}}
	for _, s := range all {
		joined.join(s)
	}
	rules := append(d.lines(joined, ""), goTo(deniedChain[d.group.direction]))
	name := hashedName(string(d.group.direction)+"-port", rules[0].Comment, fmt.Sprintf("%s %q", d.group.direction, rules))
	d.chains[name] = nft.Chain{Comment: "at some ports", Rules: rules}
	d.byPorts[key] = name
	return name
}

// join adds what other rules let in.
func (s *shared) join(o *shared) {
	if s.any == "" {
		s.any = o.any
	}
	for f, peers := range o.peers {
		for _, peer := range slices.Concat(peers.pods, peers.blocks) {
			s.of(f).add(peer)
		}
	}
}
