package compile

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	"github.com/apptier/apptier/enforcer/nft"
)

// LocalPod is a pod of the compiler's node.
type LocalPod struct {
	// Name is "namespace/name".
	Name string
	// Addresses are those that it was given, sorted.
	Addresses []netip.Addr
}

// LocalPods returns the pods of this node that have addresses of their own, by name. It is the same slice until
// one of them changes, and must not be modified.
func (c *Compiler) LocalPods() []LocalPod {
	if !c.localsChanged {
		return c.localPods
	}
	c.localsChanged = false
	c.localPods = make([]LocalPod, 0, len(c.locals))
	for p := range c.locals {
		pod := LocalPod{Name: p.String()}
		for _, a := range p.addresses {
			pod.Addresses = append(pod.Addresses, a.Addr)
		}
		c.localPods = append(c.localPods, pod)
	}
	slices.SortFunc(c.localPods, func(a, b LocalPod) int { return cmp.Compare(a.Name, b.Name) })
	return c.localPods
}

// SetLinks tells of interfaces by name: those that lead out of the node, and bridges that pods are on; and of the
// ports of UDP at which the node takes packets out of packets.
func (c *Compiler) SetLinks(uplinks, bridges []string, tunnels []uint16) {
	c.setKeys(uplinkSet, quoted(uplinks))
	c.setKeys(bridgeSet, quoted(bridges))
	var ports []string
	for _, port := range tunnels {
		ports = append(ports, strconv.Itoa(int(port)))
	}
	c.setKeys(tunnelSet, ports)
}

func quoted(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, strconv.Quote(name))
	}
	return out
}

// setKeys makes these the elements of a set.
func (c *Compiler) setKeys(set string, keys []string) {
	for key := range c.journal.Table().Sets[set].Elements {
		if !slices.Contains(keys, key) {
			c.journal.DeleteElement(set, key)
		}
	}
	for _, key := range keys {
		c.journal.SetElement(set, key, nft.Element{})
	}
}

// BindAddresses says whether packets of pods are dropped that are not from an address that is routed to the
// pod. They are, unless this says otherwise.
func (c *Compiler) BindAddresses(yes bool) {
	chain := c.journal.Table().Chains[sourceChain]
	if yes == (len(chain.Rules) > 0) {
		return
	}
	chain.Rules = nil
	if yes {
		chain.Rules = sourceRules()
	}
	c.journal.SetChain(sourceChain, chain)
}
