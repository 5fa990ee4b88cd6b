package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/apptier/apptier/internal/testenv/network"
)

var (
	anywhere4 = netip.MustParsePrefix("0.0.0.0/0")
	anywhere6 = netip.MustParsePrefix("::/0")
)

// The ranges that the node's pods have their addresses of.
var (
	Range4 = netip.MustParsePrefix("10.244.0.0/24")
	Range6 = netip.MustParsePrefix("fd00:10:244::/64")
)

// Wiring is how the node's pods are connected: as one of the CNI plugins does it.
type Wiring struct {
	Name    string
	connect func(l *Lab, t testing.TB, h Host, i int)
	needs   string // a file that is there where the kernel can
}

// The wirings.
var (
	// Routed has a node that routes between its pods.
	Routed = Wiring{Name: "routed", connect: routed}
	// Bridged has a node with its pods on a bridge.
	Bridged = Wiring{Name: "bridged", connect: bridged, needs: "/proc/sys/net/bridge"}
)

// Wirings are all of them.
func Wirings() []Wiring { return []Wiring{Routed, Bridged} }

// Inside is the name of the i-th pod's link in the pod.
func Inside(i int) string { return fmt.Sprintf("pod%d", i) }

// Outside is the name of the i-th pod's link on the node.
func Outside(i int) string { return "veth" + Inside(i) }

// routed connects a pod by a veth pair of its own, as the plugin ptp does: all packets are routed.
func routed(l *Lab, t testing.TB, h Host, i int) {
	t.Helper()
	inside, outside := Inside(i), Outside(i)
	Must(t, network.In(l.Node, func() error {
		return errors.Join(
			network.Connect(outside, inside, h.NS),
			network.Configure(outside, network.Single(Gateway4), network.Single(Gateway6)),
			network.Route(outside, network.Single(h.V4), netip.Addr{}),
			network.Route(outside, network.Single(h.V6), netip.Addr{}))
	}))
	Must(t, network.In(h.NS, func() error {
		return errors.Join(
			network.Configure(inside, network.Single(h.V4), network.Single(h.V6)),
			network.Route(inside, network.Single(Gateway4), netip.Addr{}),
			network.Route(inside, network.Single(Gateway6), netip.Addr{}),
			network.Route(inside, anywhere4, Gateway4),
			network.Route(inside, anywhere6, Gateway6))
	}))
}

// Bridge is the name of the bridge of a bridged node.
const Bridge = "cni0"

// bridged connects a pod to a bridge that has the gateway's addresses, as the plugin bridge does:
// packets between pods of the node are switched, and pass the hook forward through br_netfilter.
func bridged(l *Lab, t testing.TB, h Host, i int) {
	t.Helper()
	inside, outside := Inside(i), Outside(i)
	if i == 0 {
		Must(t, network.In(l.Node, addBridge))
	}
	Must(t, network.In(l.Node, func() error {
		// A pod reaches itself through a service by the port that it sent from.
		return errors.Join(network.Connect(outside, inside, h.NS), network.Plug(outside, Bridge, true))
	}))
	Must(t, network.In(h.NS, func() error {
		return errors.Join(
			network.Configure(inside, within(Range4, h.V4), within(Range6, h.V6)),
			network.Route(inside, anywhere4, Gateway4),
			network.Route(inside, anywhere6, Gateway6))
	}))
}

func addBridge() error {
	err := network.AddBridge(Bridge)
	for _, setting := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"} {
		err = errors.Join(err, os.WriteFile("/proc/sys/net/bridge/"+setting, []byte("1"), 0))
	}
	return errors.Join(err, network.Configure(Bridge, within(Range4, Gateway4), within(Range6, Gateway6)))
}

func within(p netip.Prefix, a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, p.Bits()) }
