package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

// mergeAbove is how many rules a packet may meet one by one: more peers of one family that share
// their ports are looked up as one set, and more ports of one protocol in one verdict map.
const mergeAbove = 4

// chainBuilder writes a group's chain.
type chainBuilder struct {
	group      *group
	families   []family
	mergeAbove int
	// portGroups are the rules by their ports, in the order of the policies.
	portGroups []*portGroup
	byPort     map[string]*portGroup

	built
	// byPorts are the verdicts that lead to those of several rules, by the rules.
	byPorts map[string]string
	written *writtenPages
	buffers *buffers
}

// built is the result.
type built struct {
	rules []nft.Rule
	specs map[string]*setSpec
	// chains are those of some ports each, and maps the verdict maps that lead there.
	chains  map[string]nft.Chain
	maps    map[string]nft.Set
	merging merging
}

// portGroup are the peers that the rules with the same ports allow.
type portGroup struct {
	index int // among those of its builder
	port  portMatch
	// only is the rule, if there is only one.
	only *allowed
	// any is the first rule that allows everyone.
	any   string
	peers map[family]*peerSets
	// alone is the verdict that leads to the chain of its ports, after that is written.
	alone string
}

// peerSets are the peers of one family.
type peerSets struct {
	pods   []peerSet
	blocks []peerSet
	known  map[string]bool
}

// peerSet is a set of a rule's peers, and the first rule that has it.
type peerSet struct {
	*setSpec
	of    string
	spans []span
}

// write writes the rules of the group's policies.
func (d *chainBuilder) write() {
	d.byPort, d.specs = map[string]*portGroup{}, map[string]*setSpec{}
	d.merging = merging{of: map[string]int{}}
	d.chains, d.maps, d.byPorts = map[string]nft.Chain{}, map[string]nft.Set{}, map[string]string{}
	if d.group.unjudged() {
		d.rules = []nft.Rule{nft.Remarked("staged policies that ask for too much, or are refused, are not asked", expr.GoTo(auditedChain))}
		return
	}
	for _, p := range d.group.policies {
		if p.excess != nil {
			continue
		}
		rules := p.sides[d.group.direction.half()].rules
		for i := range rules {
			of := p.String() + " " + rules[i].path
			for _, port := range rules[i].ports {
				if port.family == anyFamily || slices.Contains(d.families, port.family) {
					d.portGroup(port).add(&rules[i], of, d.families)
				}
			}
		}
	}
	dispatched := map[*portGroup]bool{}
	var last []nft.Rule
	for _, protocol := range protocols {
		numbered := d.numbered(protocol)
		if len(numbered) <= d.mergeAbove {
			continue
		}
		segments, uncut := d.buffers.segments(numbered)
		last = append(last, d.dispatch(protocol, segments)...)
		for _, s := range numbered {
			dispatched[s] = !slices.Contains(uncut, s)
		}
	}
	for _, s := range d.portGroups {
		if !dispatched[s] {
			if s.port.spec != nil {
				d.specs[s.port.spec.name] = s.port.spec
			}
			d.rules = append(d.rules, d.lines(s, s.port.match)...)
		}
	}
	d.rules = append(append(d.rules, last...), nft.RuleOf(expr.GoTo(deniedChain[d.group.direction])))
}

// lines are the nft rules for the peers that some rules with the same ports allow.
func (d *chainBuilder) lines(s *portGroup, port expr.List) []nft.Rule {
	end, next := server, expr.GoTo(d.next())
	if d.group.direction.half() == Ingress {
		end = initiator
	}
	if s.any != "" { // the others would open nothing more
		return []nft.Rule{{Exprs: expr.Join(port, expr.List{next}), Comment: remark(s.any)}}
	}
	var out []nft.Rule
	for _, f := range d.families {
		for _, peer := range d.merge(s, f) {
			d.specs[peer.name] = peer.setSpec
			out = append(out, nft.Rule{Exprs: expr.Join(port, expr.List{expr.In(peer.name, end[f]), next}), Comment: remark(peer.of)})
		}
	}
	return out
}

// next is the chain that continues after the group allows a packet.
func (d *chainBuilder) next() string {
	if d.group.then != nil {
		return d.group.then.chain
	}
	return nextChain[d.group.direction]
}

func (d *chainBuilder) portGroup(port portMatch) *portGroup {
	s := d.byPort[port.key]
	if s == nil {
		s = &portGroup{index: len(d.portGroups), port: port, peers: map[family]*peerSets{}}
		d.byPort[port.key] = s
		d.portGroups = append(d.portGroups, s)
	}
	return s
}

// add adds the peers of a rule.
func (s *portGroup) add(r *allowed, of string, families []family) {
	s.only = r
	if s.any != "" || len(s.peers) > 0 {
		s.only = nil
	}
	p := r.peers
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
		for _, selector := range p.selectors {
			s.of(f).add(peerSet{setSpec: selector.sets[f], of: of})
		}
		if block := p.blockSets[f]; block != nil {
			s.of(f).add(peerSet{block, of, p.blocks[f]})
		}
	}
}

// of returns the peers of a family.
func (s *portGroup) of(f family) *peerSets {
	if s.peers[f] == nil {
		s.peers[f] = &peerSets{known: map[string]bool{}}
	}
	return s.peers[f]
}

func (p *peerSets) add(peer peerSet) {
	switch {
	case p.known[peer.name]:
		return
	case len(peer.spans) > 0:
		p.blocks = append(p.blocks, peer)
	default:
		p.pods = append(p.pods, peer)
	}
	p.known[peer.name] = true
}

// merges says whether merge makes sets that are the group's own.
func (d *chainBuilder) merges(s *portGroup) bool {
	return slices.ContainsFunc(d.families, func(f family) bool {
		sets := s.peers[f]
		return sets != nil && (len(sets.pods) > d.mergeAbove || len(sets.blocks) > d.mergeAbove)
	})
}

// merge returns the sets to look up: each peer's own, or one of all pods and one of all blocks where
// there are many, so that a packet does not meet them one by one.
func (d *chainBuilder) merge(s *portGroup, f family) []peerSet {
	sets := s.peers[f]
	if sets == nil {
		return nil
	}
	pods, ranges := sets.pods, sets.blocks
	if len(pods) > d.mergeAbove {
		content := d.group.chain + " " + s.port.key
		union := &setSpec{
			name: hashedName(fmt.Sprintf("union%d", f), d.group.chain, content), Spec: ipset.Spec{Family: f, Counted: true},
			set: set(addressType[f], remark("peers of "+d.group.chain)),
		}
		for _, p := range pods {
			union.Selectors = append(union.Selectors, p.Selectors...)
		}
		d.merging.sets++
		for _, s := range union.Selectors {
			d.merging.of[s.Text]++
		}
		pods = []peerSet{{setSpec: union, of: rulesOf(pods)}}
	}
	if len(ranges) > d.mergeAbove {
		var spans []span
		for _, b := range ranges {
			spans = append(spans, b.spans...)
		}
		ranges = []peerSet{{setSpec: blocks(f, union(spans), fmt.Sprintf("blocks of %s", rulesOf(ranges))), of: rulesOf(ranges)}}
	}
	return slices.Concat(pods, ranges)
}

// rulesOf names the rules that peers come from, as many as fit a comment.
func rulesOf(peers []peerSet) string {
	var names []string
	for _, p := range peers {
		if !slices.Contains(names, p.of) {
			names = append(names, p.of)
		}
	}
	return strings.Join(names, ", ")
}
