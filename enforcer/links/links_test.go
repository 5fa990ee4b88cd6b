package links_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/apptier/apptier/enforcer/links"
	"github.com/apptier/apptier/internal/testenv/network"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func namespace(t *testing.T) netns.NsHandle {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	ns, err := network.NewNamespace()
	must(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

func open(t *testing.T, ns netns.NsHandle) (n *links.Node) {
	t.Helper()
	must(t, network.In(ns, func() (err error) {
		n, err = links.Open()
		return err
	}))
	t.Cleanup(n.Close)
	return n
}

var (
	pod4     = netip.MustParseAddr("10.244.0.2")
	pod6     = netip.MustParseAddr("fd00::2")
	gateway4 = netip.MustParseAddr("10.244.0.1")
)

// wire makes a pod's link, and a bridge that it is a port of.
func wire(t *testing.T, node, pod netns.NsHandle) {
	t.Helper()
	must(t, network.In(node, func() error {
		return errors.Join(network.AddBridge("cni0"), network.Configure("cni0", network.Single(gateway4)),
			network.Connect("veth0", "eth0", pod), network.Plug("veth0", "cni0", false))
	}))
	must(t, network.In(pod, func() error { return network.Configure("eth0", network.Single(pod4), network.Single(pod6)) }))
}

func named(n *links.Node, name string) (links.Link, bool) {
	all := n.All()
	i := slices.IndexFunc(all, func(l links.Link) bool { return l.Name == name })
	if i < 0 {
		return links.Link{}, false
	}
	return all[i], true
}

// What is inside of a pod is read from outside of it.
func TestTheInsideOfAPod(t *testing.T) {
	node, pod := namespace(t), namespace(t)
	wire(t, node, pod)
	n := open(t, node)
	veth, _ := named(n, "veth0")
	bridge, _ := named(n, "cni0")
	if veth.Kind != "veth" || veth.Master != bridge.Index || !veth.Leads() || bridge.Kind != "bridge" || bridge.Leads() {
		t.Fatalf("got %+v and %+v", veth, bridge)
	}
	end, err := n.Inside(veth)
	must(t, err)
	var inside netlink.Link
	must(t, network.In(pod, func() (err error) {
		inside, err = netlink.LinkByName("eth0")
		return err
	}))
	if end.MAC.String() != inside.Attrs().HardwareAddr.String() {
		t.Errorf("MAC %s, want %s", end.MAC, inside.Attrs().HardwareAddr)
	}
	if !slices.Contains(end.Addresses, pod4) || !slices.Contains(end.Addresses, pod6) || len(end.Addresses) > 3 {
		t.Errorf("addresses %v", end.Addresses)
	}
	addresses, err := n.Addresses()
	must(t, err)
	if !slices.Contains(addresses[bridge.Index], gateway4) {
		t.Errorf("the node has %v", addresses)
	}
	if _, err := n.Inside(bridge); err == nil {
		t.Error("something is inside of a bridge")
	}
}

// Changes are told as they come, and what does not matter is not.
func TestChangesAreTold(t *testing.T) {
	node, pod := namespace(t), namespace(t)
	n := open(t, node)
	ctx, cancel := context.WithCancel(t.Context())
	changed, done := make(chan struct{}, 1000), make(chan error, 1)
	go func() { done <- n.Watch(ctx, func() { changed <- struct{}{} }) }()
	eventually := func(what string, is func() bool) {
		t.Helper()
		for limit := time.After(10 * time.Second); !is(); {
			select {
			case <-changed:
			case <-limit:
				t.Fatalf("not told: %s", what)
			}
		}
	}
	wire(t, node, pod)
	eventually("a port", func() bool {
		veth, ok := named(n, "veth0")
		bridge, there := named(n, "cni0")
		return ok && there && veth.Leads() && veth.Master == bridge.Index
	})
	before := n.Revision()
	must(t, network.In(node, func() error {
		return network.Route("cni0", netip.MustParsePrefix("0.0.0.0/0"), netip.Addr{})
	}))
	eventually("a default route", func() bool { return n.Revision().Defaults > before.Defaults })
	outward, err := n.Outward()
	must(t, err)
	if bridge, _ := named(n, "cni0"); !slices.Equal(outward, []int{bridge.Index}) {
		t.Errorf("outward %v", outward)
	}
	must(t, network.In(node, func() error {
		veth, err := netlink.LinkByName("veth0")
		return errors.Join(err, netlink.LinkDel(veth))
	}))
	eventually("no port", func() bool {
		_, ok := named(n, "veth0")
		return !ok
	})
	cancel()
	must(t, <-done)
}

// Who is gone is told from what cannot be read.
func TestAnInsideThatIsGone(t *testing.T) {
	node, pod := namespace(t), namespace(t)
	wire(t, node, pod)
	n := open(t, node)
	veth, _ := named(n, "veth0")
	must(t, network.In(node, func() error {
		l, err := netlink.LinkByName("veth0")
		return errors.Join(err, netlink.LinkDel(l))
	}))
	if _, err := n.Inside(veth); !errors.Is(err, links.ErrGone) {
		t.Errorf("got %v", err)
	}
}
