package compile

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/kube"
)

// gate closes the addresses of this node's pods that no known pod has, and opens the node's own addresses.
type gate struct {
	node    string
	tracker *nft.DeltaTracker
	index   *ipset.Index

	addresses []netip.Addr // of this node
	ranges    []span       // that this node gives to pods
	attached  map[netip.Addr]bool
}

// SetNode handles a new or changed node. Nodes other than this one do not matter.
func (c *Compiler) SetNode(object *corev1.Node) {
	if object.Name != c.gate.node {
		return
	}
	var addresses []netip.Addr
	for _, a := range object.Status.Addresses {
		if address, err := netip.ParseAddr(a.Address); err == nil { // it may be a host name
			addresses = append(addresses, address.Unmap().WithZone(""))
		}
	}
	var ranges []span
	for _, text := range append([]string{object.Spec.PodCIDR}, object.Spec.PodCIDRs...) {
		if prefix, err := kube.ParseCIDR(text); err == nil {
			ranges = append(ranges, spanOf(prefix))
		}
	}
	c.gate.describeNode(addresses, ranges)
}

// DeleteNode handles a deleted node.
func (c *Compiler) DeleteNode(name string) {
	if name == c.gate.node {
		c.gate.describeNode(nil, nil)
	}
}

func (g *gate) describeNode(addresses []netip.Addr, ranges []span) {
	before := g.addresses
	g.addresses = addresses
	g.setRanges(ranges)
	for _, a := range slices.Concat(before, addresses) {
		g.setNodeAddress(a)
	}
}

// setNodeAddress makes one of the node's own addresses always reachable from its pods, also an address that is on
// none of its interfaces and so is forwarded to, such as a cloud's external address. Only the Node object names these
// addresses, and an address that is a pod's is ignored: no policy judges what goes to the node.
func (g *gate) setNodeAddress(a netip.Addr) {
	set := nodeSet[familyOf(a)]
	if slices.Contains(g.addresses, a) && !within(g.ranges, a) && len(g.index.Owners(a)) == 0 {
		g.tracker.SetElement(set, a.String(), nft.Element{})
	} else {
		g.tracker.DeleteElement(set, a.String())
	}
}

// setRanges closes the addresses that this node gives to pods, except the addresses of known pods: a pod sends before
// the API server knows its address, and must not do so unjudged.
//
// A known pod is any pod of the cluster, not only of this node: some network plugins use ranges of their own, and then
// node.spec.podCIDRs means nothing. But if the node's kernel shows an address attached to the node, only a pod of this
// node counts.
func (g *gate) setRanges(prefixes []span) {
	of := map[family][]span{}
	for _, s := range prefixes {
		of[familyOf(s.first)] = append(of[familyOf(s.first)], s)
	}
	var ranges []span
	for _, f := range families {
		ranges = append(ranges, union(of[f])...)
	}
	if slices.Equal(g.ranges, ranges) {
		return
	}
	for a := range g.attached { // those outside of the ranges are among the elements too
		g.tracker.DeleteElement(rangeSet[familyOf(a)], a.String())
	}
	for _, s := range g.ranges {
		g.tracker.DeleteElement(rangeSet[familyOf(s.first)], s.String())
	}
	for _, s := range ranges {
		g.tracker.SetElement(rangeSet[familyOf(s.first)], s.String(), nft.Element{})
	}
	g.ranges = ranges
	for _, a := range g.index.Addresses() {
		g.setAddress(a)
	}
	for a := range g.attached {
		g.setAddress(a)
	}
}

// SetAttached handles the addresses that the node's kernel shows attached to it, without the node's own: the addresses
// of its pods, also of pods without an object. An address that no known pod of this node has is closed, in any range:
// its pod is new, or was forgotten and still runs.
func (c *Compiler) SetAttached(addresses []netip.Addr) { c.gate.setAttached(addresses) }

func (g *gate) setAttached(addresses []netip.Addr) {
	before := g.attached
	g.attached = make(map[netip.Addr]bool, len(addresses))
	for _, a := range addresses {
		g.attached[a.Unmap().WithZone("")] = true
	}
	for a := range before {
		if !g.attached[a] {
			g.setAddress(a)
		}
	}
	for a := range g.attached {
		if !before[a] {
			g.setAddress(a)
		}
	}
}

// reopen opens or closes a pod's addresses, after a pod gained or lost them.
func (g *gate) reopen(p *ipset.Pod) {
	if p == nil {
		return
	}
	for _, a := range p.Addresses {
		g.setAddress(a.Addr)
		g.setNodeAddress(a.Addr)
	}
}

// setAddress opens an address to the policies of the pods that own it, or closes it.
func (g *gate) setAddress(a netip.Addr) {
	f, text, owners := familyOf(a), a.String(), g.index.Owners(a)
	known := len(owners) > 0 && (owners[0].Local || !g.attached[a])
	ranged := within(g.ranges, a)
	if known && ranged {
		g.tracker.SetElement(knownSet[f], text, nft.Element{Comment: remark(listed(owners))})
	} else {
		g.tracker.DeleteElement(knownSet[f], text)
	}
	switch {
	case ranged: // as one of many
	case g.attached[a] && !known:
		g.tracker.SetElement(rangeSet[f], text, nft.Element{})
	default:
		g.tracker.DeleteElement(rangeSet[f], text)
	}
}

func within(ranges []span, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(s span) bool { return s.contains(a) })
}

// Gated says whether the node's object names ranges. Without ranges, every address is open.
func (c *Compiler) Gated() bool { return len(c.gate.ranges) > 0 }

// OutsideRanges says whether the node has ranges, and a pod of it has an address outside them. Then the network plugin
// uses other ranges, and the node's close no pod that is not known yet.
func (c *Compiler) OutsideRanges() bool {
	if !c.Gated() {
		return false
	}
	for p := range c.locals.pods {
		if slices.ContainsFunc(p.Addresses, func(a ipset.Address) bool { return !within(c.gate.ranges, a.Addr) }) {
			return true
		}
	}
	return false
}

// NodeIn returns the node that a compiled table was for, as far as the table depends on it. Without a table, it is a node
// without ranges and addresses.
func NodeIn(contents nft.Contents, name string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, f := range families {
		for _, key := range slices.Sorted(maps.Keys(contents.Sets[rangeSet[f]])) {
			for _, prefix := range parseSpan(key).prefixes() {
				node.Spec.PodCIDRs = append(node.Spec.PodCIDRs, prefix.String())
			}
		}
		for _, key := range slices.Sorted(maps.Keys(contents.Sets[nodeSet[f]])) {
			node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: key})
		}
	}
	return node
}

// parseSpan reads what span.String writes; the zero span means that there is none.
func parseSpan(text string) span {
	first, last, several := strings.Cut(text, "-")
	if !several {
		last = first
	}
	from, err := netip.ParseAddr(first)
	to, otherErr := netip.ParseAddr(last)
	if err != nil || otherErr != nil {
		return span{}
	}
	return span{from, to}
}
