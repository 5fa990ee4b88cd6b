package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

var (
	anywhere4 = netip.MustParsePrefix("0.0.0.0/0")
	anywhere6 = netip.MustParsePrefix("::/0")
	range4    = netip.MustParsePrefix("10.244.0.0/24")
	range6    = netip.MustParsePrefix("fd00:10:244::/64")
)

// routed connects a pod by a veth pair of its own, as the plugin ptp does: all packets are routed.
func routed(l *lab, t testing.TB, h host, i int) {
	t.Helper()
	inside := fmt.Sprintf("pod%d", i)
	must(t, in(l.node, func() error {
		return errors.Join(
			veth("veth"+inside, inside, h.ns),
			configure("veth"+inside, host32(gateway4), host32(gateway6)),
			route("veth"+inside, host32(h.v4), netip.Addr{}),
			route("veth"+inside, host32(h.v6), netip.Addr{}))
	}))
	must(t, in(h.ns, func() error {
		return errors.Join(
			configure(inside, host32(h.v4), host32(h.v6)),
			route(inside, host32(gateway4), netip.Addr{}),
			route(inside, host32(gateway6), netip.Addr{}),
			route(inside, anywhere4, gateway4),
			route(inside, anywhere6, gateway6))
	}))
}

const bridgeName = "cni0"

// bridged connects a pod to a bridge that has the gateway's addresses, as the plugin bridge does:
// packets between pods of the node are switched, and pass the hook forward through br_netfilter.
func bridged(l *lab, t testing.TB, h host, i int) {
	t.Helper()
	inside := fmt.Sprintf("pod%d", i)
	if i == 0 {
		must(t, in(l.node, addBridge))
	}
	must(t, in(l.node, func() error {
		return errors.Join(veth("veth"+inside, inside, h.ns), enslave("veth"+inside))
	}))
	must(t, in(h.ns, func() error {
		return errors.Join(
			configure(inside, within(range4, h.v4), within(range6, h.v6)),
			route(inside, anywhere4, gateway4),
			route(inside, anywhere6, gateway6))
	}))
}

func addBridge() error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = bridgeName
	err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attributes})
	for _, setting := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"} {
		err = errors.Join(err, os.WriteFile("/proc/sys/net/bridge/"+setting, []byte("1"), 0))
	}
	return errors.Join(err, configure(bridgeName, within(range4, gateway4), within(range6, gateway6)))
}

func enslave(name string) error {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	// A pod reaches itself through a service by the port that it sent from.
	return errors.Join(netlink.LinkSetMaster(link, bridge), netlink.LinkSetHairpin(link, true), netlink.LinkSetUp(link))
}

func host32(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func within(p netip.Prefix, a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, p.Bits()) }

// veth makes a pair, one end here, the other in peerNS.
func veth(name, peer string, peerNS netns.NsHandle) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = name
	return netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: attributes, PeerName: peer, PeerNamespace: netlink.NsFd(peerNS),
	})
}
