package report

import (
	"net/netip"
	"strings"

	"github.com/apptier/apptier/policy/expand"
)

// What those outside of all namespaces are called.
const (
	Everyone   = "everyone"
	AnyAddress = "any address"
	Elsewhere  = "any pod of another namespace"
	internet   = "internet"
)

// isWithin says whether all of an end that is outside of all namespaces are of a wider one.
func isWithin(name, wider string) bool {
	if name == wider || !isWorld(name) {
		return false
	}
	first, last, isRange := span(name)
	from, to, isWider := span(wider)
	switch wider {
	case Everyone:
		return true
	case AnyAddress:
		return name != Everyone && name != Elsewhere
	case internet:
		return isRange && expand.IsInternet(first, nil) && expand.IsInternet(last, nil)
	default:
		return isRange && isWider && from.Compare(first) <= 0 && last.Compare(to) <= 0
	}
}

// span are the first and the last address of a range.
func span(name string) (first, last netip.Addr, isRange bool) {
	switch name {
	case "any IPv4 address":
		name = "0.0.0.0-255.255.255.255"
	case "any IPv6 address":
		name = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	}
	if prefix, err := netip.ParsePrefix(name); err == nil {
		bytes := prefix.Masked().Addr().AsSlice()
		for bit := prefix.Bits(); bit < 8*len(bytes); bit++ {
			bytes[bit/8] |= 1 << (7 - bit%8)
		}
		last, _ = netip.AddrFromSlice(bytes)
		return prefix.Masked().Addr(), last, true
	}
	from, to, _ := strings.Cut(name, "-")
	first, err := netip.ParseAddr(from)
	if err != nil {
		return first, first, false
	}
	last, err = netip.ParseAddr(to)
	return first, last, err == nil && first.Is4() == last.Is4()
}
