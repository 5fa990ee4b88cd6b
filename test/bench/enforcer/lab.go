package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netns"

	"github.com/apptier/apptier/internal/testenv/network"
)

// lab is a node as a router between network namespaces: those of some of its pods, and that of the
// rest of the cluster.
type lab struct {
	node, outside netns.NsHandle
	control       netip.Addr // the node's, on the network of the control planes
	pods          map[string]netns.NsHandle
	prober        *prober
}

const controlBridge = "control"

var (
	controlAddress = netip.MustParsePrefix("172.31.0.1/16")
	anywhere       = netip.MustParsePrefix("0.0.0.0/0")
	gateway        = netip.MustParseAddr("10.244.0.1")
	uplink         = netip.MustParseAddr("192.168.0.10")
	otherNodes     = netip.MustParseAddr("192.168.0.11")

	// podRange is the node's; the upper half is one namespace's, for pods that come and go.
	podRange  = netip.MustParsePrefix("10.244.0.0/24")
	farmRange = netip.MustParsePrefix("10.244.0.128/25")
	// remoteRange has the pods of all other nodes.
	remoteRange = netip.MustParsePrefix("10.128.0.0/9")
)

// The pods of the node that packets go between.
const (
	client    = "client"
	server    = "server"
	bystander = "bystander" // no policy selects it, but for the one that comes and goes
	newcomer  = "newcomer"  // its address becomes known and unknown
)

var wired = map[string]netip.Addr{
	client:    netip.MustParseAddr("10.244.0.2"),
	server:    netip.MustParseAddr("10.244.0.3"),
	bystander: netip.MustParseAddr("10.244.0.4"),
	newcomer:  netip.MustParseAddr("10.244.0.5"),
}

// newLab builds the n-th lab.
func newLab(n int) (*lab, error) {
	l := &lab{control: netip.AddrFrom4([4]byte{172, 31, 0, byte(10 + n)}), pods: map[string]netns.NsHandle{}}
	var err error
	if l.node, err = network.NewNamespace(); err != nil {
		return nil, err
	}
	if err := l.connect(n); err != nil {
		return nil, fmt.Errorf("connecting the node: %w", err)
	}
	for name, address := range wired {
		if err := l.addPod(name, network.Single(address)); err != nil {
			return nil, fmt.Errorf("making the pod %s: %w", name, err)
		}
	}
	if err := l.addPod(farm, farmRange); err != nil {
		return nil, fmt.Errorf("making pods that come and go: %w", err)
	}
	if err := network.In(l.pods[farm], func() error { return network.Own(farmRange) }); err != nil {
		return nil, err
	}
	l.prober, err = newProber(l)
	return l, err
}

const farm = "farm"

// connect gives the node its way to the API server, and to the pods of other nodes.
func (l *lab) connect(n int) (err error) {
	if l.outside, err = network.NewNamespace(); err != nil {
		return err
	}
	port := fmt.Sprintf("node%d", n)
	if err := errors.Join(network.Connect(port, "control", l.node), network.Plug(port, controlBridge, false)); err != nil {
		return err
	}
	if err := network.In(l.node, func() error {
		return errors.Join(
			network.Configure("control", netip.PrefixFrom(l.control, controlAddress.Bits())),
			network.Connect("uplink", "uplink", l.outside),
			network.Configure("uplink", network.Single(uplink)),
			network.Route("uplink", network.Single(otherNodes), netip.Addr{}),
			network.Route("uplink", remoteRange, otherNodes))
	}); err != nil {
		return err
	}
	return network.In(l.outside, func() error {
		return errors.Join(
			network.Configure("uplink", network.Single(otherNodes)),
			network.Own(remoteRange),
			network.Route("uplink", network.Single(uplink), netip.Addr{}),
			network.Route("uplink", podRange, uplink))
	})
}

// addPod connects a pod by a veth pair of its own, as the CNI plugin ptp does.
func (l *lab) addPod(name string, addresses netip.Prefix) error {
	pod, err := network.NewNamespace()
	if err != nil {
		return err
	}
	l.pods[name] = pod
	if err := network.In(l.node, func() error {
		return errors.Join(
			network.Connect(name, "eth0", pod),
			network.Configure(name, network.Single(gateway)),
			network.Route(name, addresses, netip.Addr{}))
	}); err != nil {
		return err
	}
	return network.In(pod, func() error {
		return errors.Join(
			network.Configure("eth0", netip.PrefixFrom(addresses.Addr(), 32)),
			network.Route("eth0", network.Single(gateway), netip.Addr{}),
			network.Route("eth0", anywhere, gateway))
	})
}
