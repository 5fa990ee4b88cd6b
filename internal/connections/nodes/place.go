package nodes

import (
	"net/netip"
	"slices"
)

// Self is where the manager runs. Node may be empty, if that is not known.
type Self struct {
	Node      string
	Addresses []netip.Addr
}

// Why a node is not asked, for people.
const (
	unreadable = "its enforcer says that it answers at what is no address and port"
	notOf      = "its enforcer says that it answers at an address that is not the node's"
	local      = "its enforcer says that it answers at an address that the manager does not call: it is local"
	ours       = "its enforcer says that it answers at an address of the manager's own"
)

// refusal says why the manager does not ask a node where it says that it answers; empty if it does. Both the report and the Node
// object are the node's word, and what is called from here, such as the manager's own host, others may not reach.
func refusal(node Node, addresses map[string][]netip.Addr, self Self) string {
	if node.Address == "" {
		return ""
	}
	to, err := netip.ParseAddrPort(node.Address)
	if err != nil {
		return unreadable
	}
	switch at := to.Addr().Unmap(); {
	case isLocal(at):
		return local
	case !slices.Contains(addresses[node.Name], at):
		return notOf
	case node.Name != self.Node && (slices.Contains(self.Addresses, at) || slices.Contains(addresses[self.Node], at)):
		return ours
	default:
		return ""
	}
}

// isLocal says whether an address means another host to each who calls it, or many.
func isLocal(at netip.Addr) bool {
	return at.IsUnspecified() || at.IsLoopback() || at.IsLinkLocalUnicast() || at.IsMulticast() || at.Zone() != "" ||
		at == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
