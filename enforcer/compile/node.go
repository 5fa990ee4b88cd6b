package compile

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/nft"
)

// SetNode tells of a node that came or changed; those other than this one do not matter.
func (c *Compiler) SetNode(object *corev1.Node) {
	if object.Name != c.node {
		return
	}
	var addresses []netip.Addr
	for _, a := range object.Status.Addresses {
		addresses = append(addresses, parseAddresses(a.Address)...)
	}
	var prefixes []netip.Prefix
	for _, text := range append([]string{object.Spec.PodCIDR}, object.Spec.PodCIDRs...) {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			prefixes = append(prefixes, prefix)
		}
	}
	c.describeNode(addresses, prefixes)
}

// DeleteNode tells of a node that is gone.
func (c *Compiler) DeleteNode(name string) {
	if name == c.node {
		c.describeNode(nil, nil)
	}
}

func (c *Compiler) describeNode(addresses []netip.Addr, prefixes []netip.Prefix) {
	c.countNode(addresses, 1)
	c.countNode(c.addresses, -1)
	c.addresses = addresses
	c.setRanges(prefixes)
}

// countNode makes the node's own addresses always reachable from its pods, even those that are not on
// one of its interfaces (a cloud's external address) and so would be forwarded to. The node's object
// and each of its pods may name them.
func (c *Compiler) countNode(addresses []netip.Addr, by int) {
	for _, ip := range addresses {
		was := c.nodes[ip]
		c.nodes[ip] += by
		switch {
		case was == 0:
			c.journal.SetElement(nodeSet[familyOf(ip)], ip.String(), nft.Element{})
		case was+by == 0:
			delete(c.nodes, ip)
			c.journal.DeleteElement(nodeSet[familyOf(ip)], ip.String())
		}
	}
}
