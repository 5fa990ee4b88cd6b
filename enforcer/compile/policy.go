package compile

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/policy/reach"
)

// policy is a NetworkPolicy of a namespace with pods on this node, parsed.
type policy struct {
	namespace, name string
	pods            labels.Selector
	sides           map[Direction]side
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
	ports ports
}

// peers is a rule's from or to.
type peers struct {
	any       bool
	selectors []selector
	blocks    map[family][]span
	// blockTexts is the blocks as they were written.
	blockTexts map[family][]string
}

func (p *policy) String() string { return p.namespace + "/" + p.name }

// parseAll parses the policies of all namespaces that have pods here; the others do not matter.
func (c *compiler) parseAll(snapshot reach.Snapshot) map[string][]*policy {
	here := map[string]bool{}
	for _, p := range c.pods.local {
		here[p.namespace] = true
	}
	parsed := map[string][]*policy{}
	for _, object := range snapshot.Policies {
		if here[object.Namespace] {
			parsed[object.Namespace] = append(parsed[object.Namespace], c.parse(object))
		}
	}
	for _, policies := range parsed {
		slices.SortFunc(policies, func(a, b *policy) int { return cmp.Compare(a.name, b.name) })
	}
	return parsed
}

// parse parses one policy, closed wherever it cannot be read.
func (c *compiler) parse(object *networkingv1.NetworkPolicy) *policy {
	p := &policy{namespace: object.Namespace, name: object.Name}
	ingress, egress := isolates(object.Spec)
	var err error
	p.pods, err = metav1.LabelSelectorAsSelector(&object.Spec.PodSelector)
	if err != nil {
		// It protects someone, nobody can say whom: so everyone, and its rules open nothing.
		c.report(p, "podSelector", err)
		p.pods = labels.Everything()
		p.sides = map[Direction]side{Ingress: {isolates: ingress}, Egress: {isolates: egress}}
		return p
	}
	in, out := side{isolates: ingress}, side{isolates: egress}
	if err, ok := c.closed[p.String()]; ok {
		c.report(p, "spec", err)
		p.sides = map[Direction]side{Ingress: in, Egress: out}
		return p
	}
	for i, r := range object.Spec.Ingress {
		in.rules = append(in.rules, c.rule(p, fmt.Sprintf("ingress[%d]", i), "from", r.From, r.Ports))
	}
	for i, r := range object.Spec.Egress {
		out.rules = append(out.rules, c.rule(p, fmt.Sprintf("egress[%d]", i), "to", r.To, r.Ports))
	}
	p.sides = map[Direction]side{Ingress: in, Egress: out}
	return p
}

func (c *compiler) report(p *policy, path string, err error) {
	if err != nil {
		c.problems = append(c.problems, Problem{Policy: p.String(), Path: path, Err: err})
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

func (c *compiler) rule(
	p *policy, path, field string, from []networkingv1.NetworkPolicyPeer, on []networkingv1.NetworkPolicyPort,
) rule {
	r := rule{
		path:  path,
		peers: peers{any: len(from) == 0, blocks: map[family][]span{}, blockTexts: map[family][]string{}},
		ports: ports{any: len(on) == 0},
	}
	for i, peer := range from {
		c.report(p, fmt.Sprintf("%s.%s[%d]", path, field, i), r.peers.add(p.namespace, peer))
	}
	for i, port := range on {
		c.report(p, fmt.Sprintf("%s.ports[%d]", path, i), r.ports.add(port))
	}
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
