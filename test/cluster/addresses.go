package cluster

import (
	"fmt"
	"net/netip"
)

// controlPlane is the name of the node that runs the control plane and no pods.
const controlPlane = "cp"

// addresses is the plan of a cluster's addresses. Every cluster has a network of its own, so all use the
// same plan. One family for now: a second is a second value of this type.
type addresses struct {
	machines netip.Prefix // the control plane and the nodes
	pods     netip.Prefix // all nodes' pods
	services netip.Prefix
}

var ipv4 = addresses{
	machines: netip.MustParsePrefix("10.200.0.0/16"),
	pods:     netip.MustParsePrefix("10.244.0.0/16"),
	services: netip.MustParsePrefix("10.96.0.0/16"),
}

// maxNodes is how many nodes' addresses fit the plan's last byte.
const maxNodes = 200

// node names the i-th node, counting from 1.
func node(i int) string { return fmt.Sprintf("n%d", i) }

func (a addresses) controlPlane() netip.Addr { return at(a.machines, 3, 1) }

func (a addresses) node(i int) netip.Addr { return at(a.machines, 3, byte(10+i)) }

// nodePods is where the i-th node's pods have their addresses.
func (a addresses) nodePods(i int) netip.Prefix {
	return netip.PrefixFrom(at(a.pods, 2, byte(i)), 24)
}

// apiService is the address of the Service "kubernetes".
func (a addresses) apiService() netip.Addr { return at(a.services, 3, 1) }

func (a addresses) dnsService() netip.Addr { return at(a.services, 3, 10) }

// at is the prefix's first address with one byte set.
func at(prefix netip.Prefix, index int, value byte) netip.Addr {
	bytes := prefix.Addr().As4()
	bytes[index] = value
	return netip.AddrFrom4(bytes)
}
