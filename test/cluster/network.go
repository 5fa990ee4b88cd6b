package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/test/cluster/host"
)

const bridge = "br0"

// wire makes the cluster's network: a namespace for the fabric with a bridge in it, one for each machine
// with a cable to the bridge, and the routes that a cloud's network would have.
func wire(cluster string, s Shape) error {
	if err := makeFabric(host.NetnsName(cluster, fabric)); err != nil {
		return fmt.Errorf("make the fabric: %w", err)
	}
	machines := map[string][]netip.Prefix{}
	for _, a := range s.plan() {
		own := func(machine string, address netip.Addr) {
			machines[machine] = append(machines[machine], netip.PrefixFrom(address, a.machines.Bits()))
		}
		own(controlPlane, a.controlPlane())
		for i := 1; i <= s.Nodes; i++ {
			own(node(i), a.node(i))
		}
	}
	for machine, addresses := range machines {
		if err := plug(cluster, machine, addresses); err != nil {
			return fmt.Errorf("connect %s: %w", machine, err)
		}
	}
	for machine := range machines {
		for _, a := range s.plan() {
			if err := a.route(cluster, machine, s.Nodes); err != nil {
				return fmt.Errorf("set the routes of %s: %w", machine, err)
			}
		}
	}
	return nil
}

func makeFabric(name string) error {
	if err := host.CreateNetns(name); err != nil {
		return err
	}
	return host.InNetns(name, func() error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}
		if err := netlink.LinkAdd(br); err != nil {
			return fmt.Errorf("add the bridge: %w", err)
		}
		return errors.Join(setUp("lo"), setUp(bridge))
	})
}

// plug makes a machine's network namespace and the cable from it to the bridge.
func plug(cluster, machine string, addresses []netip.Prefix) error {
	name := host.NetnsName(cluster, machine)
	if err := host.CreateNetns(name); err != nil {
		return err
	}
	ns, err := netns.GetFromName(name)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := host.InNetns(host.NetnsName(cluster, fabric), func() error { return addCable("p-"+machine, ns) }); err != nil {
		return err
	}
	return host.InNetns(name, func() error {
		if err := allowForwarding(); err != nil {
			return err
		}
		if err := errors.Join(setUp("lo"), setUp("eth0")); err != nil {
			return err
		}
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		for _, address := range addresses {
			if err := netlink.AddrAdd(eth0, linkAddress(address)); err != nil {
				return fmt.Errorf("add the address %s: %w", address, err)
			}
		}
		return nil
	})
}

// linkAddress is an address as netlink takes it. Nobody else has it, so there is no need to wait and see,
// which takes the kernel a second with IPv6.
func linkAddress(prefix netip.Prefix) *netlink.Addr {
	address := &netlink.Addr{IPNet: ipNet(prefix)}
	if prefix.Addr().Is6() {
		address.Flags = unix.IFA_F_NODAD
	}
	return address
}

func addCable(name string, far netns.NsHandle) error {
	br, err := netlink.LinkByName(bridge)
	if err != nil {
		return err
	}
	cable := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: name, MasterIndex: br.Attrs().Index},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsFd(far),
	}
	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("add the cable %s: %w", name, err)
	}
	return setUp(name)
}

// allowForwarding makes the namespace of the current thread a router, as a node is.
func allowForwarding() error {
	for _, setting := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", setting), []byte("1"), 0); err != nil {
			return fmt.Errorf("allow forwarding: %w", err)
		}
	}
	// Only with the bridge CNI, and only where the kernel has it.
	_ = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0)
	return nil
}

// route lets every machine reach every node's pods. The API server needs it to call webhooks. What
// nobody knows goes from the nodes to the control plane, where it ends; from the control plane it goes
// to the first node, whose kube-proxy knows the services.
func (a addresses) route(cluster, machine string, nodes int) error {
	return host.InNetns(host.NetnsName(cluster, machine), func() error {
		gateway := a.controlPlane()
		if machine == controlPlane {
			gateway = a.node(1)
		}
		if err := addRoute(a.everywhere(), gateway); err != nil {
			return err
		}
		for i := 1; i <= nodes; i++ {
			if node(i) == machine {
				continue
			}
			if err := addRoute(a.nodePods(i), a.node(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func addRoute(to netip.Prefix, via netip.Addr) error {
	if err := netlink.RouteAdd(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("add the route to %s via %s: %w", to, via, err)
	}
	return nil
}

func setUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find the link %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set the link %s up: %w", name, err)
	}
	return nil
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

const fabric = "fab"
