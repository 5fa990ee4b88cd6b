package compile

import (
	"errors"
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/policy/kube"
)

// side is one direction of a policy.
type side struct {
	isolates bool
	rules    []rule
}

// rule is what an ingress or an egress rule allows: any of the peers to any of the ports.
type rule struct {
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

// withoutRules is what remains of a side when its rules are left out.
func (s side) withoutRules() side { return side{isolates: s.isolates} }

// parse reads whom the policy isolates, closed wherever it cannot be read.
func (p *policy) parse() {
	p.problems = nil
	spec, err := p.read()
	if err != nil {
		p.problems = append(p.problems, p.problem("spec", err))
		p.pods, p.sides = labels.Everything(), map[Direction]side{Ingress: {isolates: true}, Egress: {isolates: true}}
		return
	}
	ingress, egress := kube.Isolates(&spec, networkingv1.PolicyTypeIngress), kube.Isolates(&spec, networkingv1.PolicyTypeEgress)
	p.sides = map[Direction]side{Ingress: {isolates: ingress}, Egress: {isolates: egress}}
	p.pods, err = metav1.LabelSelectorAsSelector(&spec.PodSelector)
	if err != nil {
		// It protects someone, nobody can say whom: so everyone, and its rules open nothing.
		p.problems = append(p.problems, p.problem("podSelector", err))
		p.pods = labels.Everything()
	}
	if err == nil && p.refused != nil {
		p.problems = append(p.problems, p.problem("spec", p.refused))
	}
}

// parseRules reads the rules of a policy that is parsed, unless nobody can say whom it isolates.
func (p *policy) parseRules() {
	spec, err := p.read()
	if err != nil || len(p.problems) > 0 {
		return
	}
	in, out := p.sides[Ingress], p.sides[Egress]
	for i, r := range spec.Ingress {
		in.rules = append(in.rules, p.rule(Ingress, fmt.Sprintf("ingress[%d]", i), "from", r.From, r.Ports))
	}
	for i, r := range spec.Egress {
		out.rules = append(out.rules, p.rule(Egress, fmt.Sprintf("egress[%d]", i), "to", r.To, r.Ports))
	}
	p.sides = map[Direction]side{Ingress: in, Egress: out}
}

func (p *policy) read() (spec networkingv1.NetworkPolicySpec, err error) {
	if err = p.err; err == nil {
		err = spec.Unmarshal(p.spec)
	}
	return spec, err
}

// report keeps what is wrong with a rule.
func (p *policy) report(path string, err error) {
	if err != nil {
		p.rulesProblems = append(p.rulesProblems, p.problem(path, err))
	}
}

func (p *policy) problem(path string, err error) Problem {
	return Problem{Policy: p.String(), Path: path, Err: err, Object: p.object()}
}

func (p *policy) rule(
	direction Direction, path, field string, from []networkingv1.NetworkPolicyPeer, on []networkingv1.NetworkPolicyPort,
) rule {
	r := rule{
		path:  path,
		peers: peers{any: len(from) == 0, blocks: map[family][]span{}, blockTexts: map[family][]string{}},
	}
	for i, peer := range from {
		p.report(fmt.Sprintf("%s.%s[%d]", path, field, i), r.peers.add(p.namespace, peer))
	}
	r.peers.blockSets = map[family]*setSpec{}
	for f, spans := range r.peers.blocks {
		r.peers.blocks[f] = union(spans)
		if len(r.peers.blocks[f]) > 0 {
			r.peers.blockSets[f] = blocks(f, r.peers.blocks[f], strings.Join(r.peers.blockTexts[f], " or "))
		}
	}
	ports := ports{any: len(on) == 0}
	for i, port := range on {
		p.report(fmt.Sprintf("%s.ports[%d]", path, i), ports.add(port))
	}
	r.ports = ports.matches(direction)
	return r
}

// add adds one peer; what it cannot read adds nothing.
func (p *peers) add(namespace string, peer networkingv1.NetworkPolicyPeer) error {
	hasSelector := peer.PodSelector != nil || peer.NamespaceSelector != nil
	switch {
	case peer.IPBlock != nil && hasSelector:
		return errors.New("ipBlock excludes podSelector and namespaceSelector")
	case peer.IPBlock != nil:
		return p.addBlock(*peer.IPBlock)
	case hasSelector:
		s, err := newSelector(namespace, peer)
		if err == nil {
			p.selectors = append(p.selectors, s)
		}
		return err
	default:
		return errors.New("needs a podSelector, a namespaceSelector or an ipBlock")
	}
}

func (p *peers) addBlock(block networkingv1.IPBlock) error {
	cidr, err := kube.ParseCIDR(block.CIDR)
	if err != nil {
		return fmt.Errorf("ipBlock.cidr: %w", err)
	}
	var holes []span
	for i, except := range block.Except {
		hole, err := kube.ParseCIDR(except)
		if err != nil {
			// An exception that cannot be read might hold any address of the block.
			return fmt.Errorf("ipBlock.except[%d]: %w", i, err)
		}
		if hole.Addr().Is4() == cidr.Addr().Is4() {
			holes = append(holes, spanOf(hole))
		}
	}
	text := block.CIDR
	if len(block.Except) > 0 {
		text += " except " + strings.Join(block.Except, ", ")
	}
	f := familyOf(cidr.Addr())
	p.blocks[f] = append(p.blocks[f], subtract(spanOf(cidr), holes)...)
	p.blockTexts[f] = append(p.blockTexts[f], text)
	return nil
}
