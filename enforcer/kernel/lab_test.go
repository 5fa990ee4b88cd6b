package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/test/network"
)

// lab is a node with its pods, and the outside: remote pods, another node, and the rest of the
// world, which share one namespace. Its namespaces have no names, so nothing is left of them when
// the process ends, however it ends.
type lab struct {
	node    netns.NsHandle
	outside netns.NsHandle
	hosts   []host
	// mergeAbove is the compiler's, unless 0.
	mergeAbove int
}

// wiring is how the node's pods are connected: as one of the CNI plugins does it.
type wiring func(l *lab, t testing.TB, h host, i int)

// host is one place that packets come from or go to.
type host struct {
	name   string
	ns     netns.NsHandle
	v4, v6 netip.Addr
	kind   kind
}

type kind int

const (
	localPod kind = iota
	remotePod
	theNode
	otherNode
	world
)

func (h host) address(v6 bool) netip.Addr {
	if v6 {
		return h.v6
	}
	return h.v4
}

// host returns the host of a name.
func (l *lab) host(name string) host {
	return l.hosts[slices.IndexFunc(l.hosts, func(h host) bool { return h.name == name })]
}

// gateway is the node by the addresses that its pods know it by.
func (l *lab) gateway() host { return host{"gateway", l.node, gateway4, gateway6, theNode} }

// The addresses are those that reachtest.Snapshot uses.
const (
	localPods  = 8
	remotePods = 8
	nodeName   = "node-0"
)

var (
	gateway4 = netip.MustParseAddr("10.244.0.1")
	gateway6 = netip.MustParseAddr("fd00:10:244::1")
	uplink4  = netip.MustParseAddr("192.168.0.10")
	uplink6  = netip.MustParseAddr("fd00:192::a")
	other4   = netip.MustParseAddr("192.168.0.11")
	other6   = netip.MustParseAddr("fd00:192::b")
)

// podAddresses returns the addresses of the i-th pod of the n-th node.
func podAddresses(n, i int) (v4, v6 netip.Addr) {
	return netip.AddrFrom4([4]byte{10, 244, byte(n), byte(2 + i)}),
		netip.MustParseAddr(fmt.Sprintf("fd00:10:244:%x::%x", n, 2+i))
}

// requireKernel skips a test where it cannot run, and says why.
func requireKernel(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("needs the nft program (Debian package nftables)")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Access("/proc/self/ns/net", unix.R_OK); err != nil {
		t.Skip("needs a kernel with network namespaces")
	}
}

// newLab builds a lab whose node routes between its pods. It is taken down with the test.
func newLab(t testing.TB) *lab {
	t.Helper()
	return build(t, routed)
}

// newBridgeLab builds a lab whose node has its pods on a bridge.
func newBridgeLab(t testing.TB) *lab {
	t.Helper()
	if _, err := os.Stat("/proc/sys/net/bridge"); err != nil {
		t.Skip("needs the kernel's br_netfilter, as do Kubernetes and its bridges")
	}
	return build(t, bridged)
}

func build(t testing.TB, wire wiring) *lab {
	t.Helper()
	requireKernel(t)
	l := &lab{}
	l.node = newNamespace(t)
	l.outside = newNamespace(t)
	for i := range localPods {
		h := host{name: fmt.Sprintf("local-%d", i), ns: newNamespace(t), kind: localPod}
		h.v4, h.v6 = podAddresses(0, i)
		wire(l, t, h, i)
		l.hosts = append(l.hosts, h)
	}
	l.addOutside(t)
	l.hosts = append(l.hosts, host{"node", l.node, uplink4, uplink6, theNode})
	return l
}

// newNamespace makes a namespace that is closed with the test.
func newNamespace(t testing.TB) netns.NsHandle {
	t.Helper()
	ns, err := network.NewNamespace()
	must(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

func must(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) addOutside(t testing.TB) {
	t.Helper()
	others := []host{
		{"other-node", l.outside, other4, other6, otherNode},
		{"world-7", l.outside, netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7"), world},
		{"world-8", l.outside, netip.MustParseAddr("203.0.113.8"), netip.MustParseAddr("2001:db8::8"), world},
	}
	for i := range remotePods {
		v4, v6 := podAddresses(1, i)
		others = append(others, host{fmt.Sprintf("remote-%d", i), l.outside, v4, v6, remotePod})
	}
	must(t, network.In(l.node, func() error { return network.Connect("uplink", "uplink", l.outside) }))
	must(t, network.In(l.node, func() error { return network.Configure("uplink", network.Single(uplink4), network.Single(uplink6)) }))
	must(t, network.In(l.outside, func() error {
		err := network.SetUp("uplink")
		for _, h := range others {
			err = errors.Join(err, network.Configure("uplink", network.Single(h.v4), network.Single(h.v6)))
		}
		return errors.Join(err,
			network.Route("uplink", network.Single(uplink4), netip.Addr{}),
			network.Route("uplink", network.Single(uplink6), netip.Addr{}),
			network.Route("uplink", anywhere4, uplink4),
			network.Route("uplink", anywhere6, uplink6))
	}))
	must(t, network.In(l.node, func() error {
		gw4, gw6 := others[0].v4, others[0].v6
		return errors.Join(
			network.Route("uplink", network.Single(gw4), netip.Addr{}),
			network.Route("uplink", network.Single(gw6), netip.Addr{}),
			network.Route("uplink", anywhere4, gw4),
			network.Route("uplink", anywhere6, gw6))
	}))
	l.hosts = append(l.hosts, others...)
}
