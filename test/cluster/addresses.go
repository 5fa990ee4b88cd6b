package cluster

import (
	"fmt"
	"net/netip"
	"strings"
)

// controlPlane is the name of the node that runs the control plane and no pods.
const controlPlane = "cp"

// addresses is the plan of a cluster's addresses of one family. Every cluster has a network of its own, so
// all use the same plan.
type addresses struct {
	machines netip.Prefix // the control plane and the nodes
	pods     netip.Prefix // all nodes' pods
	services netip.Prefix
	share    int  // how many bits of a pod's address say its node
	ten      byte // what reads as 10, for numbers that people should recognize
}

var ipv4 = addresses{
	machines: netip.MustParsePrefix("10.200.0.0/16"),
	pods:     netip.MustParsePrefix("10.244.0.0/16"),
	services: netip.MustParsePrefix("10.96.0.0/16"),
	share:    24,
	ten:      10,
}

var ipv6 = addresses{
	machines: netip.MustParsePrefix("fd00:10:200::/64"),
	pods:     netip.MustParsePrefix("fd00:10:244::/48"),
	services: netip.MustParsePrefix("fd00:10:96::/112"),
	share:    64,
	ten:      0x10,
}

// plan is the addresses of each family that a cluster has, its primary one first.
type plan []addresses

// plan is the shape's.
func (s Shape) plan() plan {
	switch s.IPFamily {
	case IPv6:
		return plan{ipv6}
	case DualStack:
		return plan{ipv4, ipv6}
	default:
		return plan{ipv4}
	}
}

// join is what a function says of each family, as the flags of Kubernetes take it.
func join[T fmt.Stringer](p plan, of func(addresses) T) string {
	words := make([]string, len(p))
	for i, a := range p {
		words[i] = of(a).String()
	}
	return strings.Join(words, ",")
}

// dnsServices are the addresses of the cluster's DNS.
func (p plan) dnsServices() []string {
	return strings.Split(join(p, addresses.dnsService), ",")
}

// maxNodes is how many nodes' addresses fit the plan's last byte.
const maxNodes = 200

// node names the i-th node, counting from 1.
func node(i int) string { return fmt.Sprintf("n%d", i) }

func (a addresses) controlPlane() netip.Addr { return at(a.machines, a.last(), 1) }

func (a addresses) node(i int) netip.Addr { return at(a.machines, a.last(), a.ten+byte(i)) }

// nodePods is where the i-th node's pods have their addresses.
func (a addresses) nodePods(i int) netip.Prefix {
	return netip.PrefixFrom(at(a.pods, a.share/8-1, byte(i)), a.share)
}

// apiService is the address of the Service "kubernetes".
func (a addresses) apiService() netip.Addr { return at(a.services, a.last(), 1) }

func (a addresses) dnsService() netip.Addr { return at(a.services, a.last(), a.ten) }

// everywhere is the prefix of all addresses.
func (a addresses) everywhere() netip.Prefix { return netip.PrefixFrom(a.unspecified(), 0) }

func (a addresses) unspecified() netip.Addr {
	if a.machines.Addr().Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// last is the index of an address's last byte.
func (a addresses) last() int { return a.machines.Addr().BitLen()/8 - 1 }

// at is the prefix's first address with one byte set.
func at(prefix netip.Prefix, index int, value byte) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	bytes[index] = value
	address, _ := netip.AddrFromSlice(bytes)
	return address
}
