package compile

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/rule"
)

// side is one direction of a policy.
type side struct {
	isolates bool
	rules    []allowed
}

// allowed is what a rule allows: any of the peers to any of the ports.
type allowed struct {
	path  string
	peers peers
	ports []portMatch
	// written are the chains of its ports that groups share, for as long as the policy says the same.
	written map[chainKey]writtenChain
}

// peers is a rule's from or to.
type peers struct {
	any       bool
	selectors []*selector
	blocks    map[family][]span
	// blockTexts is the blocks as they were written.
	blockTexts map[family][]string
	// blockSets are the sets of all blocks of a family.
	blockSets map[family]*setSpec
}

// withoutRules is a side without its rules.
func (s side) withoutRules() side { return side{isolates: s.isolates} }

// parse reads whom the policy isolates. It fails closed.
func (p *policy) parse() {
	p.problems = nil
	spec, err := p.spec()
	if err != nil { // it cannot be read: it isolates every pod
		p.problems = append(p.problems, p.problem("spec", err))
		spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	}
	read := kube.ReadIsolation(p.Key(), &spec)
	for _, problem := range read.Problems {
		p.problems = append(p.problems, p.problem(problem.Path, problem.Err))
	}
	p.pods = read.Subject.Labels
	p.sides = map[Direction]side{Ingress: p.side(Ingress, read.Ingress), Egress: p.side(Egress, read.Egress)}
	if len(p.problems) == 0 && p.refused != nil {
		p.problems = append(p.problems, p.problem("spec", p.refused))
	}
}

// parseRules reads the rules of a parsed policy, unless its selector cannot be read.
func (p *policy) parseRules() {
	spec, err := p.spec()
	if err != nil || len(p.problems) > 0 {
		return
	}
	read := kube.ReadPolicy(p.Key(), &spec)
	for _, problem := range read.Problems {
		p.rulesProblems = append(p.rulesProblems, p.problem(problem.Path, problem.Err))
	}
	p.sides = map[Direction]side{Ingress: p.side(Ingress, read.Ingress), Egress: p.side(Egress, read.Egress)}
}

// side reads the rules of a direction.
func (p *policy) side(direction Direction, rules []rule.Rule) side {
	var s side
	for _, r := range rules {
		switch r.Action {
		case rule.Allow:
			s.rules = append(s.rules, allows(fmt.Sprintf("%s[%d]", direction, r.Index), direction, r))
		case rule.Deny: // everyone, after all that any policy allows: what falls off the end of a chain is dropped
			s.isolates = true
		case rule.Pass, rule.Audit: // no NetworkPolicy has them
		}
	}
	return s
}

func (p *Policy) spec() (spec networkingv1.NetworkPolicySpec, err error) {
	if err = p.err; err == nil {
		err = spec.Unmarshal(p.encoded)
	}
	return spec, err
}

func (p *policy) problem(path string, err error) Problem {
	return Problem{Policy: p.String(), Path: path, Err: err, Object: p.object()}
}

// allows is what a rule allows to the groups of pods that the policy isolates.
func allows(path string, direction Direction, from rule.Rule) allowed {
	r := allowed{path: path, peers: peers{any: from.Peers.Everyone, blocks: map[family][]span{}, blockTexts: map[family][]string{}}}
	for _, peer := range from.Peers.Of {
		r.peers.add(peer)
	}
	r.peers.blockSets = map[family]*setSpec{}
	for f, spans := range r.peers.blocks {
		r.peers.blocks[f] = union(spans)
		if len(r.peers.blocks[f]) > 0 {
			r.peers.blockSets[f] = blocks(f, r.peers.blocks[f], strings.Join(r.peers.blockTexts[f], " or "))
		}
	}
	r.ports = matchesOf(direction, from.Ports)
	return r
}

// add adds one peer. A peer that matches nothing adds nothing.
func (p *peers) add(peer rule.Peer) {
	switch {
	case peer.Block.CIDR.IsValid():
		p.addBlock(peer.Block)
	case peer.Pods.Labels != nil:
		p.selectors = append(p.selectors, newSelector(peer.Pods))
	}
}

func (p *peers) addBlock(block rule.Block) {
	var holes []span
	for _, hole := range block.Except {
		if hole.Addr().Is4() == block.CIDR.Addr().Is4() {
			holes = append(holes, spanOf(hole))
		}
	}
	f := familyOf(block.CIDR.Addr())
	p.blocks[f] = append(p.blocks[f], subtract(spanOf(block.CIDR), holes)...)
	p.blockTexts[f] = append(p.blockTexts[f], block.String())
}
