package bind

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
)

// Adopt reads the bindings of a table that an enforcer left. Without them a pod that took its neighbour's
// address while no enforcer ran might count as the neighbour.
func Adopt(contents nft.Contents) Bindings {
	bindings := Bindings{}
	for _, set := range []string{bound4Set, bound6Set} {
		for key := range contents.Sets[set] {
			parts := strings.Split(key, nft.Key("", ""))
			if len(parts) != 3 {
				continue
			}
			name, err := strconv.Unquote(parts[0])
			address, invalid := netip.ParseAddr(parts[2])
			if err != nil || invalid != nil {
				continue
			}
			b := bindings[name]
			b.MAC, b.Addresses = parts[1], append(b.Addresses, address)
			bindings[name] = b
		}
	}
	for name, b := range bindings {
		b.Addresses = sorted(b.Addresses)
		bindings[name] = b
	}
	return bindings
}
