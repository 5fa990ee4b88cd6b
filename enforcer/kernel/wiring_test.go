package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/apptier/apptier/test/network"
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
	must(t, network.In(l.node, func() error {
		return errors.Join(
			network.Connect("veth"+inside, inside, h.ns),
			network.Configure("veth"+inside, network.Single(gateway4), network.Single(gateway6)),
			network.Route("veth"+inside, network.Single(h.v4), netip.Addr{}),
			network.Route("veth"+inside, network.Single(h.v6), netip.Addr{}))
	}))
	must(t, network.In(h.ns, func() error {
		return errors.Join(
			network.Configure(inside, network.Single(h.v4), network.Single(h.v6)),
			network.Route(inside, network.Single(gateway4), netip.Addr{}),
			network.Route(inside, network.Single(gateway6), netip.Addr{}),
			network.Route(inside, anywhere4, gateway4),
			network.Route(inside, anywhere6, gateway6))
	}))
}

const bridgeName = "cni0"

// bridged connects a pod to a bridge that has the gateway's addresses, as the plugin bridge does:
// packets between pods of the node are switched, and pass the hook forward through br_netfilter.
func bridged(l *lab, t testing.TB, h host, i int) {
	t.Helper()
	inside := fmt.Sprintf("pod%d", i)
	if i == 0 {
		must(t, network.In(l.node, addBridge))
	}
	must(t, network.In(l.node, func() error {
		// A pod reaches itself through a service by the port that it sent from.
		return errors.Join(network.Connect("veth"+inside, inside, h.ns), network.Plug("veth"+inside, bridgeName, true))
	}))
	must(t, network.In(h.ns, func() error {
		return errors.Join(
			network.Configure(inside, within(range4, h.v4), within(range6, h.v6)),
			network.Route(inside, anywhere4, gateway4),
			network.Route(inside, anywhere6, gateway6))
	}))
}

func addBridge() error {
	err := network.AddBridge(bridgeName)
	for _, setting := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"} {
		err = errors.Join(err, os.WriteFile("/proc/sys/net/bridge/"+setting, []byte("1"), 0))
	}
	return errors.Join(err, network.Configure(bridgeName, within(range4, gateway4), within(range6, gateway6)))
}

func within(p netip.Prefix, a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, p.Bits()) }
