package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
)

// Outside is an address that is not the cluster's. The control plane's machine has it, where the nodes
// send whatever they know no other way to, so it may be any address: the internet's for what pods see,
// though no packet leaves the cluster's network. Nobody listens on it until Serve.
type Outside struct {
	cluster *Cluster
	address netip.Addr
}

// Outside makes an address outside the cluster, or finds it.
func (c *Cluster) Outside(address netip.Addr) (*Outside, error) {
	if err := c.state.Shape.plan().foreign(address); err != nil {
		return nil, err
	}
	err := c.InNode(controlPlane, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.AddrReplace(lo, linkAddress(netip.PrefixFrom(address, address.BitLen())))
	})
	if err != nil {
		return nil, fmt.Errorf("add %s outside the cluster: %w", address, err)
	}
	return &Outside{cluster: c, address: address}, nil
}

// foreign says why an address cannot be outside, or nothing.
func (p plan) foreign(address netip.Addr) error {
	for _, a := range p {
		for _, own := range []netip.Prefix{a.machines, a.pods, a.services} {
			if own.Contains(address) {
				return fmt.Errorf("%s is one of the cluster's own addresses, of %s", address, own)
			}
		}
	}
	if !slices.ContainsFunc(p, func(a addresses) bool { return a.unspecified().Is4() == address.Is4() }) {
		return fmt.Errorf("%s: the cluster has no addresses of this family", address)
	}
	return nil
}

// Serve answers on a port, until the context ends: TCP accepts connections, UDP sends back what comes.
func (o *Outside) Serve(ctx context.Context, port int32, protocol corev1.Protocol) error {
	network, err := networkOf(protocol)
	if err != nil {
		return err
	}
	at := net.JoinHostPort(o.address.String(), strconv.Itoa(int(port)))
	return o.cluster.InNode(controlPlane, func() error {
		var config net.ListenConfig
		if network == "udp" {
			conn, err := config.ListenPacket(ctx, network, at)
			if err != nil {
				return err
			}
			context.AfterFunc(ctx, func() { conn.Close() })
			go echo(conn)
			return nil
		}
		listener, err := config.Listen(ctx, network, at)
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { listener.Close() })
		go accept(listener)
		return nil
	})
}

// echo ends when the connection is closed.
func echo(conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(buffer[:n], from) // who asked may be gone
	}
}

// accept ends when the listener is closed.
func accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

// Dial connects from the address to a target, host:port.
func (o *Outside) Dial(ctx context.Context, protocol corev1.Protocol, target string) (conn net.Conn, err error) {
	network, err := networkOf(protocol)
	if err != nil {
		return nil, err
	}
	var local net.Addr = &net.TCPAddr{IP: o.address.AsSlice()}
	if network == "udp" {
		local = &net.UDPAddr{IP: o.address.AsSlice()}
	}
	err = o.cluster.InNode(controlPlane, func() error {
		conn, err = (&net.Dialer{LocalAddr: local}).DialContext(ctx, network, target)
		return err
	})
	return conn, err
}

// Probe tries whether the address reaches a target, host:port, within a second, like Cluster.Probe.
func (o *Outside) Probe(ctx context.Context, target string, protocol corev1.Protocol) (reachable bool, err error) {
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err = o.try(limited, target, protocol)
	var timeout net.Error
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &timeout) && timeout.Timeout():
		return false, nil
	}
	return false, fmt.Errorf("probe %s from %s: %w", target, o.address, err)
}

func (o *Outside) try(ctx context.Context, target string, protocol corev1.Protocol) error {
	conn, err := o.Dial(ctx, protocol, target)
	if err != nil {
		return err
	}
	defer conn.Close()
	if protocol != corev1.ProtocolUDP {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := conn.Write([]byte("hostname\n")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1500))
	return err
}

// networkOf is what the net package calls a protocol; an empty one is TCP.
func networkOf(protocol corev1.Protocol) (string, error) {
	if protocol == "" {
		protocol = corev1.ProtocolTCP
	}
	if !slices.Contains([]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP}, protocol) {
		return "", fmt.Errorf("%s from outside: use TCP or UDP", protocol)
	}
	return strings.ToLower(string(protocol)), nil
}
