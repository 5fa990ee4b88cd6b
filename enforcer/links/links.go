package links

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Link is an interface of the node.
type Link struct {
	Index int
	Name  string
	// Kind of the driver, such as "veth" or "bridge"; empty for most hardware.
	Kind string
	// Master is the index of the bridge that it is a port of; 0 if of none.
	Master int
	// Peer is the index of the other end, in the network namespace with the number Namespace, which is -1
	// when that is the node's own.
	Peer, Namespace int
	// Port is the UDP port on which a tunnel of the kind vxlan or geneve receives packets; 0 if it is not one.
	Port uint16
}

// Leads says whether the other end is in another namespace.
func (l Link) Leads() bool { return l.Namespace >= 0 && l.Peer > 0 }

// End is the other end of a link.
type End struct {
	MAC       net.HardwareAddr
	Addresses []netip.Addr
}

// Node is the interfaces of the network namespace in which it was opened. Its methods may be called by
// several goroutines.
type Node struct {
	handle *netlink.Handle
	events *nl.NetlinkSocket

	asking sync.Mutex // of strict
	strict *nl.NetlinkSocket

	mu       sync.Mutex // of what follows
	links    map[int]Link
	revision Revision
}

// Revision counts changes: what was read of one kind is good as long as its number stays.
type Revision struct {
	// Links are those of any link, Addresses those of the node's own addresses, Defaults those of default
	// routes.
	Links, Addresses, Defaults uint64
}

// Revision returns how much has changed.
func (n *Node) Revision() Revision {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.revision
}

// Open reads all links. Close ends it.
func Open() (*Node, error) {
	n := &Node{}
	var err error
	// Changes are listened to before the links are listed, so that none is missed.
	if n.events, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE); err != nil {
		return nil, fmt.Errorf("listening to changes of links: %w", err)
	}
	if n.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		n.Close()
		return nil, fmt.Errorf("asking for links: %w", err)
	}
	if n.strict, err = nl.Subscribe(unix.NETLINK_ROUTE); err != nil {
		n.Close()
		return nil, fmt.Errorf("asking for links: %w", err)
	}
	// Without it the kernel ignores of which namespace addresses are asked for.
	if err := unix.SetsockoptInt(n.strict.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil {
		n.Close()
		return nil, fmt.Errorf("asking what is in pods needs Linux 4.20 or later (NETLINK_GET_STRICT_CHK): %w", err)
	}
	if err := n.Refresh(); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Close ends the connections to the kernel.
func (n *Node) Close() {
	for _, socket := range []*nl.NetlinkSocket{n.events, n.strict} {
		if socket != nil {
			socket.Close()
		}
	}
	if n.handle != nil {
		n.handle.Close()
	}
}

// Refresh reads all links. Watch makes it unnecessary.
func (n *Node) Refresh() error {
	listed, err := n.handle.LinkList()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}
	links := make(map[int]Link, len(listed))
	for _, l := range listed {
		links[l.Attrs().Index] = read(l)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = links
	n.revision = Revision{n.revision.Links + 1, n.revision.Addresses + 1, n.revision.Defaults + 1}
	return nil
}

func read(l netlink.Link) Link {
	a := l.Attrs()
	out := Link{Index: a.Index, Name: a.Name, Kind: l.Type(), Master: a.MasterIndex, Peer: a.ParentIndex, Namespace: a.NetNsID}
	switch tunnel := l.(type) {
	case *netlink.Vxlan:
		out.Port = uint16(tunnel.Port)
	case *netlink.Geneve:
		out.Port = tunnel.Dport
	}
	return out
}

// All returns the links, by index.
func (n *Node) All() []Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.SortedFunc(maps.Values(n.links), func(a, b Link) int { return a.Index - b.Index })
}

// Addresses returns the node's own addresses, by the index of the link that has them.
func (n *Node) Addresses() (map[int][]netip.Addr, error) {
	listed, err := n.handle.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}
	addresses := map[int][]netip.Addr{}
	for _, a := range listed {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			addresses[a.LinkIndex] = append(addresses[a.LinkIndex], ip.Unmap())
		}
	}
	return addresses, nil
}

// Outward returns the indices of the links that default routes leave by.
func (n *Node) Outward() ([]int, error) {
	var out []int
	routes, err := n.handle.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil {
			if ones, _ := r.Dst.Mask.Size(); ones > 0 {
				continue
			}
		}
		out = append(out, r.LinkIndex)
		for _, hop := range r.MultiPath {
			out = append(out, hop.LinkIndex)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(i int) bool { return i == 0 }), nil
}

// Toward returns the link that packets to an address leave by; there is none for an address of the node's own
// and for one that nothing is routed to.
func (n *Node) Toward(a netip.Addr) (Link, bool, error) {
	routes, err := n.handle.RouteGet(a.AsSlice())
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) {
		return Link{}, false, nil
	}
	if err != nil {
		return Link{}, false, fmt.Errorf("asking for the route to %s: %w", a, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range routes {
		if l, ok := n.links[r.LinkIndex]; ok && r.Type == unix.RTN_UNICAST {
			return l, true, nil
		}
	}
	return Link{}, false, nil
}
