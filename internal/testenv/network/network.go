// Package network makes network namespaces and connects them, for tests and measurements that send real
// packets. The namespaces have no names, so nothing is left of them when the process ends, however it
// ends.
package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// settings are those of a namespace, under /proc/sys/net.
var settings = map[string]string{
	"ipv4/ip_forward":          "1",
	"ipv6/conf/all/forwarding": "1",
	"ipv4/ip_nonlocal_bind":    "1",
	"ipv6/ip_nonlocal_bind":    "1",
	// Else a link-local address, which neighbour discovery needs, is usable after a second or two only.
	"ipv6/conf/default/accept_dad": "0",
}

// NewNamespace makes a namespace that forwards packets, with its loopback up. It is gone when its handle
// is closed and nothing uses it any more.
func NewNamespace() (netns.NsHandle, error) {
	ns := netns.None()
	err := onThread(func() (err error) {
		if ns, err = netns.New(); err != nil {
			return err
		}
		for name, value := range settings {
			if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
				return err
			}
		}
		return SetUp("lo")
	})
	if err != nil {
		return ns, fmt.Errorf("making a network namespace: %w", err)
	}
	return ns, nil
}

// In runs f inside a namespace; sockets and processes that it makes belong there.
func In(ns netns.NsHandle, f func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns); err != nil {
			return err
		}
		return f()
	})
}

// onThread runs f on a thread of its own, which ends with it, so f may change its namespace.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// Connect makes a pair of links: one here, and its peer in another namespace.
func Connect(name, peer string, other netns.NsHandle) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = name
	err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: peer, PeerNamespace: netlink.NsFd(other)})
	if err != nil {
		return fmt.Errorf("veth pair %s and %s: %w", name, peer, err)
	}
	return nil
}

// AddBridge makes a bridge.
func AddBridge(name string) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = name
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attributes}); err != nil {
		return fmt.Errorf("bridge %s: %w", name, err)
	}
	return nil
}

// Plug makes a link a port of a bridge, and sets it up. What comes in by a hairpin port may leave by it.
func Plug(name, bridge string, hairpin bool) error {
	to, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", bridge, err)
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if err := netlink.LinkSetMaster(link, to); err != nil {
		return fmt.Errorf("making %s a port of %s: %w", name, bridge, err)
	}
	return errors.Join(netlink.LinkSetHairpin(link, hairpin), netlink.LinkSetUp(link))
}

// SetUp sets a link up.
func SetUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}

// Configure sets a link up and gives it addresses that are usable at once, unless it has them already.
func Configure(name string, addresses ...netip.Prefix) error {
	if err := SetUp(name); err != nil {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	for _, a := range addresses {
		err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(a), Flags: unix.IFA_F_NODAD})
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("address %s of %s: %w", a, name, err)
		}
	}
	return nil
}

// Route sends packets by a link to a neighbour, or without one straight to where they go.
func Route(name string, to netip.Prefix, via netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(to)}
	if via.IsValid() {
		r.Gw = via.AsSlice()
	} else {
		r.Scope = netlink.SCOPE_LINK
	}
	if err := netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("route %s dev %s via %s: %w", to, name, via, err)
	}
	return nil
}

// Own makes the namespace answer for every address of a range.
func Own(addresses netip.Prefix) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	r := &netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: ipNet(addresses), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
	}
	if err := netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("owning %s: %w", addresses, err)
	}
	return nil
}

// Single is the range of one address.
func Single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
