package compile

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/nft"
)

// gate closes the addresses that this node gives to pods, except those of pods that are known: a
// pod sends before the API server has heard of its address, and must not do so unjudged.
//
// Known is every pod of the cluster, not only those of this node: some network plugins give
// addresses from ranges of their own, and leave node.spec.podCIDRs to mean nothing.
func (c *compiler) gate(nodes []*corev1.Node, name string) {
	ranges := map[family][]span{}
	var prefixes []netip.Prefix
	for _, node := range nodes {
		if node.Name != name {
			continue
		}
		for _, text := range append([]string{node.Spec.PodCIDR}, node.Spec.PodCIDRs...) {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				prefixes = append(prefixes, prefix)
				f := familyOf(prefix.Addr())
				ranges[f] = append(ranges[f], spanOf(prefix))
			}
		}
	}
	for _, f := range families {
		for _, s := range union(ranges[f]) {
			c.table.Sets[rangeSet[f]].Elements[s.String()] = nft.Element{}
			c.ranges = append(c.ranges, s.String())
		}
	}
	for _, p := range c.pods.all {
		for _, address := range p.addresses {
			if within(prefixes, address.Addr) {
				c.table.Sets[knownSet[familyOf(address.Addr)]].Elements[address.String()] = nft.Element{Comment: remark(p.String())}
			}
		}
	}
}

func within(prefixes []netip.Prefix, address netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}
