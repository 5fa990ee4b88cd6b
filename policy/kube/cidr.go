package kube

import (
	"fmt"
	"net/netip"
)

// mappedBits is how much of an IPv4-mapped IPv6 address comes before the IPv4 address: RFC 4291, section
// 2.5.5.2.
const mappedBits = 96

// ParseCIDR reads a range of addresses, and returns it in canonical form: without bits beyond the prefix, and
// an IPv4 range that is written as IPv6 (::ffff:10.1.0.0/112) as the IPv4 range that it is. The API server
// stored both before Kubernetes 1.36, and what is stored stays (KEP-4858); to package net, which other enforcers
// use, they mean the same. What else it stored, leading zeros, is an error: some read them as octal.
func ParseCIDR(text string) (netip.Prefix, error) {
	cidr, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no range of addresses, such as 203.0.113.0/24", text) // people know no netip
	}
	if cidr.Addr().Is4In6() && cidr.Bits() >= mappedBits {
		cidr = netip.PrefixFrom(cidr.Addr().Unmap(), cidr.Bits()-mappedBits)
	}
	return cidr.Masked(), nil
}
