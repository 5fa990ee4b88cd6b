package compile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Policy is a NetworkPolicy as it is kept: small, and read only while it matters. It is never modified.
type Policy struct {
	namespace, name string
	uid             types.UID
	spec            []byte // Protobuf
	err             error  // why there is none
}

// NewPolicy returns a policy to keep.
func NewPolicy(object *networkingv1.NetworkPolicy) *Policy {
	p := &Policy{namespace: object.Namespace, name: object.Name, uid: object.UID}
	p.spec, p.err = object.Spec.Marshal()
	return p
}

// Key is the policy's name.
func (p *Policy) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: p.namespace, Name: p.name}
}

// Equal tells whether two policies of one name differ in nothing.
func (p *Policy) Equal(o *Policy) bool { return p.uid == o.uid && bytes.Equal(p.spec, o.spec) }

// object is the policy as far as an event refers to it.
func (p *Policy) object() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.name, UID: p.uid}}
}

// policy is a policy, and what it says while its namespace has pods on this node.
type policy struct {
	*Policy
	// refused is why its rules are left out; nil if they are not.
	refused error

	pods     labels.Selector
	sides    map[Direction]side
	problems []Problem
	// groups are those of pods that it isolates.
	groups map[*group]bool
}

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
}

// peers is a rule's from or to.
type peers struct {
	any       bool
	selectors []*selector
	blocks    map[family][]span
	// blockTexts is the blocks as they were written.
	blockTexts map[family][]string
	// blockSets are the sets of all blocks of a family.
	blockSets map[family]*demand
}

func (p *Policy) String() string { return p.namespace + "/" + p.name }

// SetPolicy tells of a policy that came or changed. One that was refused gets another chance.
func (c *Compiler) SetPolicy(object *networkingv1.NetworkPolicy) { c.PutPolicy(NewPolicy(object)) }

// PutPolicy does the same.
func (c *Compiler) PutPolicy(kept *Policy) {
	s := c.space(kept.namespace)
	p := s.policies[kept.name]
	if p == nil {
		p = &policy{}
		s.policies[kept.name] = p
	}
	p.Policy, p.refused = kept, nil
	c.reread(s, p)
}

// DeletePolicy tells of a policy that is gone.
func (c *Compiler) DeletePolicy(namespace, name string) {
	s := c.spaces[namespace]
	if s == nil || s.policies[name] == nil {
		return
	}
	p := s.policies[name]
	delete(s.policies, name)
	c.unread(p)
	for pod := range s.locals {
		c.submit(pod, p)
	}
	c.tidy(namespace)
}

// Refuse leaves the rules of a policy out: it isolates the pods that it selects, and allows nothing.
// That is reported with the error, as long as the policy is not set again. Without an error the rules
// count again.
func (c *Compiler) Refuse(namespace, name string, err error) {
	s := c.spaces[namespace]
	if s == nil || s.policies[name] == nil || s.policies[name].refused == err { //nolint:errorlint // the very same
		return
	}
	s.policies[name].refused = err
	c.reread(s, s.policies[name])
}

// reread reads a policy of a namespace with pods on this node, and finds the pods that it isolates.
func (c *Compiler) reread(s *space, p *policy) {
	if len(s.locals) == 0 {
		return
	}
	c.read(p)
	for g := range p.groups {
		g.changed, c.stale[g] = true, true
	}
	for pod := range s.locals {
		c.submit(pod, p)
	}
}

// readAll reads the policies of a namespace that has its first pod on this node.
func (c *Compiler) readAll(s *space) {
	for _, p := range s.policies {
		c.read(p)
	}
}

// unreadAll forgets what they say after the last.
func (c *Compiler) unreadAll(s *space) {
	for _, p := range s.policies {
		c.unread(p)
	}
}

func (c *Compiler) read(p *policy) {
	p.parse()
	if len(p.problems) > 0 {
		c.troubled[p] = true
	} else {
		delete(c.troubled, p)
	}
}

func (c *Compiler) unread(p *policy) {
	p.pods, p.sides, p.problems = nil, nil, nil
	delete(c.troubled, p)
}

// submit puts a pod of this node under the policy, or takes it out.
func (c *Compiler) submit(pod *Pod, p *policy) {
	l := c.locals[pod]
	for _, direction := range directions {
		under := l.under[direction]
		at, was := slices.BinarySearchFunc(under, p, func(a, b *policy) int { return cmp.Compare(a.name, b.name) })
		is := p.sides[direction].isolates && p.pods.Matches(pod.labels)
		switch {
		case is && !was:
			l.under[direction] = slices.Insert(under, at, p)
		case was && !is:
			l.under[direction] = slices.Delete(under, at, at+1)
		case was && under[at] != p:
			under[at] = p
		default:
			continue
		}
		c.moved[pod] = true
	}
}

// parse reads the policy's object, closed wherever it cannot be read.
func (p *policy) parse() {
	p.problems = nil
	var spec networkingv1.NetworkPolicySpec
	err := p.err
	if err == nil {
		err = spec.Unmarshal(p.spec)
	}
	if err != nil {
		p.report("spec", err)
		p.pods, p.sides = labels.Everything(), map[Direction]side{Ingress: {isolates: true}, Egress: {isolates: true}}
		return
	}
	ingress, egress := isolates(spec)
	p.sides = map[Direction]side{Ingress: {isolates: ingress}, Egress: {isolates: egress}}
	p.pods, err = metav1.LabelSelectorAsSelector(&spec.PodSelector)
	if err != nil {
		// It protects someone, nobody can say whom: so everyone, and its rules open nothing.
		p.report("podSelector", err)
		p.pods = labels.Everything()
		return
	}
	if p.refused != nil {
		p.report("spec", p.refused)
		return
	}
	in, out := side{isolates: ingress}, side{isolates: egress}
	for i, r := range spec.Ingress {
		in.rules = append(in.rules, p.rule(Ingress, fmt.Sprintf("ingress[%d]", i), "from", r.From, r.Ports))
	}
	for i, r := range spec.Egress {
		out.rules = append(out.rules, p.rule(Egress, fmt.Sprintf("egress[%d]", i), "to", r.To, r.Ports))
	}
	p.sides = map[Direction]side{Ingress: in, Egress: out}
}

func (p *policy) report(path string, err error) {
	if err != nil {
		p.problems = append(p.problems, Problem{Policy: p.String(), Path: path, Err: err, Object: p.object()})
	}
}

// isolates tells which directions a policy is about: API, NetworkPolicySpec.PolicyTypes.
func isolates(spec networkingv1.NetworkPolicySpec) (ingress, egress bool) {
	if len(spec.PolicyTypes) == 0 {
		return true, len(spec.Egress) > 0
	}
	return slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeIngress),
		slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
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
	r.peers.blockSets = map[family]*demand{}
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
	cidr, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return fmt.Errorf("ipBlock.cidr: %w", err)
	}
	var holes []span
	for i, except := range block.Except {
		hole, err := netip.ParsePrefix(except)
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
