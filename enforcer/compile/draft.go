package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
)

// mergeAbove is how many peers of one family may share their ports before they are looked up as one.
const mergeAbove = 8

// draft is a group's chain while it is written.
type draft struct {
	group      *group
	mergeAbove int
	// shared are the rules by their ports, in the order of the policies.
	shared []*shared
	byPort map[string]*shared

	rules   []nft.Rule
	demands map[string]*demand
}

// shared is what the rules with the same ports let in.
type shared struct {
	port portMatch
	// any is the first of them that lets everyone in.
	any   string
	peers map[family]*peerSets
}

// peerSets are the peers of one family.
type peerSets struct {
	pods   []peerSet
	blocks []peerSet
	known  map[string]bool
}

// peerSet is one of the sets that a rule's peers are in, and the first rule that it is of.
type peerSet struct {
	*demand
	of    string
	spans []span
}

// write writes the rules of the group's policies.
func (d *draft) write() {
	d.byPort, d.demands = map[string]*shared{}, map[string]*demand{}
	for _, p := range d.group.policies {
		for _, r := range p.sides[d.group.direction].rules {
			for _, port := range r.ports {
				if port.family == anyFamily || slices.Contains(d.group.families, port.family) {
					d.sharing(port).add(p.String()+" "+r.path, r.peers, d.group.families)
				}
			}
		}
	}
	end, next := server, ingressChain
	if d.group.direction == Ingress {
		end, next = initiator, admitChain
	}
	for _, s := range d.shared {
		if s.any != "" { // the others would open nothing more
			d.add(s.port, "", next, s.any)
			continue
		}
		for _, f := range d.group.families {
			for _, peer := range d.merge(s, f) {
				d.demands[peer.name] = peer.demand
				d.add(s.port, fmt.Sprintf("%s @%s", end[f], peer.name), next, peer.of)
			}
		}
	}
}

func (d *draft) add(port portMatch, peer, next, of string) {
	if port.demand != nil {
		d.demands[port.demand.name] = port.demand
	}
	parts := slices.DeleteFunc([]string{port.expr, peer, "goto " + next}, func(s string) bool { return s == "" })
	d.rules = append(d.rules, nft.Rule{Expr: strings.Join(parts, " "), Comment: remark(of)})
}

func (d *draft) sharing(port portMatch) *shared {
	s := d.byPort[port.expr]
	if s == nil {
		s = &shared{port: port, peers: map[family]*peerSets{}}
		d.byPort[port.expr] = s
		d.shared = append(d.shared, s)
	}
	return s
}

// add adds the peers of a rule.
func (s *shared) add(of string, p peers, families []family) {
	if p.any {
		if s.any == "" {
			s.any = of
		}
		return
	}
	for _, f := range families {
		if s.port.family != anyFamily && s.port.family != f {
			continue
		}
		if s.peers[f] == nil {
			s.peers[f] = &peerSets{known: map[string]bool{}}
		}
		sets := s.peers[f]
		for _, selector := range p.selectors {
			if !sets.known[selector.text] {
				sets.known[selector.text] = true
				sets.pods = append(sets.pods, peerSet{demand: selector.sets[f], of: of})
			}
		}
		if block := p.blockSets[f]; block != nil && !sets.known[block.name] {
			sets.known[block.name] = true
			sets.blocks = append(sets.blocks, peerSet{block, of, p.blocks[f]})
		}
	}
}

// merge returns the sets to look up: each peer's own, or one of all pods and one of all blocks where
// there are many, so that a packet does not meet them one by one.
func (d *draft) merge(s *shared, f family) []peerSet {
	sets := s.peers[f]
	if sets == nil {
		return nil
	}
	pods, ranges := sets.pods, sets.blocks
	if len(pods) > d.mergeAbove {
		content := fmt.Sprintf("%s %s", d.group.chain, s.port.expr)
		union := &demand{
			name: hashedName(fmt.Sprintf("union%d", f), d.group.chain, content), family: f,
			set: set(addressType[f], remark("peers of "+d.group.chain)),
		}
		for _, p := range pods {
			union.selectors = append(union.selectors, p.selectors...)
		}
		pods = []peerSet{{demand: union, of: rulesOf(pods)}}
	}
	if len(ranges) > d.mergeAbove {
		var spans []span
		for _, b := range ranges {
			spans = append(spans, b.spans...)
		}
		ranges = []peerSet{{demand: blocks(f, union(spans), fmt.Sprintf("blocks of %s", rulesOf(ranges))), of: rulesOf(ranges)}}
	}
	return slices.Concat(pods, ranges)
}

// rulesOf names where peers come from, as many as a comment has room for.
func rulesOf(peers []peerSet) string {
	var names []string
	for _, p := range peers {
		if !slices.Contains(names, p.of) {
			names = append(names, p.of)
		}
	}
	return strings.Join(names, ", ")
}
