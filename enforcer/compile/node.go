package compile

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/kube"
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
	var ranges []span
	for _, text := range append([]string{object.Spec.PodCIDR}, object.Spec.PodCIDRs...) {
		if prefix, err := kube.ParseCIDR(text); err == nil {
			ranges = append(ranges, spanOf(prefix))
		}
	}
	c.describeNode(addresses, ranges)
}

// DeleteNode tells of a node that is gone.
func (c *Compiler) DeleteNode(name string) {
	if name == c.node {
		c.describeNode(nil, nil)
	}
}

func (c *Compiler) describeNode(addresses []netip.Addr, ranges []span) {
	before := c.addresses
	c.addresses = addresses
	c.setRanges(ranges)
	for _, a := range slices.Concat(before, addresses) {
		c.setNodeAddress(a)
	}
}

// setNodeAddress makes one of the node's own addresses always reachable from its pods, even one that is
// not on any of its interfaces (a cloud's external address) and so would be forwarded to. Its Node object
// alone says which they are, and it is not taken at its word about an address that is a pod's: what goes
// to the node is judged by no policy.
func (c *Compiler) setNodeAddress(a netip.Addr) {
	set := nodeSet[familyOf(a)]
	if slices.Contains(c.addresses, a) && !within(c.ranges, a) && len(c.owners.holders(a)) == 0 {
		c.journal.SetElement(set, a.String(), nft.Element{})
	} else {
		c.journal.DeleteElement(set, a.String())
	}
}

// NodeIn returns the node that a compiled table was for, as far as the table depends on it. Of a table that
// is not there, it is a node without ranges and addresses.
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

// parseSpan reads what span.String writes; the zero span is none.
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
