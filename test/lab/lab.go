// Package lab is a Kubernetes node made of network namespaces, with its pods, another node's, and the rest
// of the world, for tests that send real packets through the enforcer's rules.
//
// The rules are those that the compiler makes of a snapshot, put into the node's kernel by the enforcer's own
// transactions. Nothing else of the cluster is there: no API server, no runtime, no CNI plugin. Tests of a
// whole cluster are in test/e2e.
package lab

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

	"github.com/apptier/apptier/enforcer/wiring"
	"github.com/apptier/apptier/internal/testenv/network"
)

// Lab is a node with its pods, and the outside: remote pods, another node, and the rest of the world,
// which share one namespace. Its namespaces have no names, so nothing is left of them when the process
// ends, however it ends.
type Lab struct {
	Node    netns.NsHandle
	Outside netns.NsHandle
	// Hosts are local-0 to local-7, other-node, world-7 and world-8, remote-0 to remote-7, and node.
	Hosts []Host
	// Links are what the rules are told of the node's links.
	Links wiring.Found
	// MergeAbove is the compiler's, unless 0.
	MergeAbove int
	// RecordAllowed and Observe are the compiler's.
	RecordAllowed, Observe bool
}

// Host is one place that packets come from or go to.
type Host struct {
	Name   string
	NS     netns.NsHandle
	V4, V6 netip.Addr
	Kind   Kind
}

// Kind is what a host is to the node.
type Kind int

// The kinds of hosts.
const (
	LocalPod Kind = iota
	RemotePod
	TheNode
	OtherNode
	World
)

// Address returns the host's address of a family.
func (h Host) Address(v6 bool) netip.Addr {
	if v6 {
		return h.V6
	}
	return h.V4
}

// Host returns the host of a name, which must exist.
func (l *Lab) Host(name string) Host {
	return l.Hosts[slices.IndexFunc(l.Hosts, func(h Host) bool { return h.Name == name })]
}

// Gateway is the node by the addresses that its pods know it by.
func (l *Lab) Gateway() Host { return Host{"gateway", l.Node, Gateway4, Gateway6, TheNode} }

// NodeName is the name of the node that is tested.
const NodeName = "node-0"

// LocalPods is how many pods the node has, with and without objects.
const LocalPods = 8

const remotePods = 8

// Addresses of the nodes; these and the pods' are those that reachtest.Snapshot uses.
var (
	Gateway4 = netip.MustParseAddr("10.244.0.1")
	Gateway6 = netip.MustParseAddr("fd00:10:244::1")
	Uplink4  = netip.MustParseAddr("192.168.0.10")
	Uplink6  = netip.MustParseAddr("fd00:192::a")
	Other4   = netip.MustParseAddr("192.168.0.11")
	Other6   = netip.MustParseAddr("fd00:192::b")
)

// PodAddresses returns the addresses of the i-th pod of the n-th node.
func PodAddresses(n, i int) (v4, v6 netip.Addr) {
	return netip.AddrFrom4([4]byte{10, 244, byte(n), byte(2 + i)}),
		netip.MustParseAddr(fmt.Sprintf("fd00:10:244:%x::%x", n, 2+i))
}

// RequireKernel skips a test where it cannot run, and says why.
func RequireKernel(t testing.TB) {
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

// New builds a lab, which is taken down with the test.
func New(t testing.TB, wire Wiring) *Lab {
	t.Helper()
	RequireKernel(t)
	if wire.needs != "" {
		if _, err := os.Stat(wire.needs); err != nil {
			t.Skip("needs the kernel's br_netfilter, as do Kubernetes and its bridges")
		}
	}
	l := &Lab{}
	l.Node = NewNamespace(t)
	l.Outside = NewNamespace(t)
	for i := range LocalPods {
		h := Host{Name: fmt.Sprintf("local-%d", i), NS: NewNamespace(t), Kind: LocalPod}
		h.V4, h.V6 = PodAddresses(0, i)
		wire.connect(l, t, h, i)
		l.Hosts = append(l.Hosts, h)
	}
	l.addOutside(t)
	l.Hosts = append(l.Hosts, Host{"node", l.Node, Uplink4, Uplink6, TheNode})
	return l
}

// NewNamespace makes a namespace that is closed with the test.
func NewNamespace(t testing.TB) netns.NsHandle {
	t.Helper()
	ns, err := network.NewNamespace()
	Must(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

// Must ends the test unless what it asked for was done.
func Must(t Tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *Lab) addOutside(t testing.TB) {
	t.Helper()
	others := []Host{
		{"other-node", l.Outside, Other4, Other6, OtherNode},
		{"world-7", l.Outside, netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7"), World},
		{"world-8", l.Outside, netip.MustParseAddr("203.0.113.8"), netip.MustParseAddr("2001:db8::8"), World},
	}
	for i := range remotePods {
		v4, v6 := PodAddresses(1, i)
		others = append(others, Host{fmt.Sprintf("remote-%d", i), l.Outside, v4, v6, RemotePod})
	}
	Must(t, network.In(l.Node, func() error { return network.Connect("uplink", "uplink", l.Outside) }))
	Must(t, network.In(l.Node, func() error { return network.Configure("uplink", network.Single(Uplink4), network.Single(Uplink6)) }))
	Must(t, network.In(l.Outside, func() error {
		err := network.SetUp("uplink")
		for _, h := range others {
			err = errors.Join(err, network.Configure("uplink", network.Single(h.V4), network.Single(h.V6)))
		}
		return errors.Join(err,
			network.Route("uplink", network.Single(Uplink4), netip.Addr{}),
			network.Route("uplink", network.Single(Uplink6), netip.Addr{}),
			network.Route("uplink", anywhere4, Uplink4),
			network.Route("uplink", anywhere6, Uplink6))
	}))
	Must(t, network.In(l.Node, func() error {
		gw4, gw6 := others[0].V4, others[0].V6
		return errors.Join(
			network.Route("uplink", network.Single(gw4), netip.Addr{}),
			network.Route("uplink", network.Single(gw6), netip.Addr{}),
			network.Route("uplink", anywhere4, gw4),
			network.Route("uplink", anywhere6, gw6))
	}))
	l.Hosts = append(l.Hosts, others...)
}
