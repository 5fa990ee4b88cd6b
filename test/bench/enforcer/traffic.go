package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
)

// lane is a lab between whose client and server as many packets go as can.
type lane struct {
	*lab
	result *Traffic
	// judged: the rules allow the client's connections and forbid the newcomer's.
	judged bool
}

// Ports that nothing else listens on; policies allow the port of probes alone.
const trafficPort = probePort

// baselines are labs without the enforcer: without any rule, and with one that has the kernel track
// connections, as every node does that has services.
func baselines(ctx context.Context, n int) ([]lane, error) {
	bare, err := newLab(n)
	if err != nil {
		return nil, err
	}
	tracking, err := newLab(n + 1)
	if err != nil {
		return nil, err
	}
	rule := exec.CommandContext(ctx, "nft", "table inet bench { chain forward { type filter hook forward priority 0; ct state invalid drop; }; }")
	if err := network.In(tracking.node, func() error {
		out, err := rule.CombinedOutput()
		if err != nil {
			return fmt.Errorf("tracking connections: %w\n%s", err, out)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return []lane{
		{lab: bare, result: &Traffic{Rules: noRules}},
		{lab: tracking, result: &Traffic{Rules: trackingOnly}},
	}, nil
}

const (
	noRules      = "no rules"
	trackingOnly = "connection tracking alone"
)

// traffic measures every lane once.
func (l lane) traffic(ctx context.Context, lasts time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, measure := range []struct {
		run       func(time.Duration) (float64, error)
		rate, cpu *[]float64
		rateUnit  float64 // how many are one
		cpuUnit   time.Duration
		cpuOf     float64 // how many cost that
	}{
		{l.newConnections, &l.result.Connections, &l.result.ConnectionCPU, 1, time.Microsecond, 1},
		{l.bytes, &l.result.Throughput, &l.result.ThroughputCPU, 1e9 / 8, time.Millisecond, 1 << 30},
		{l.packets, &l.result.Datagrams, &l.result.DatagramCPU, 1, time.Microsecond, 1},
	} {
		started, before := time.Now(), ownCPU()
		n, err := measure.run(lasts)
		if err != nil {
			return fmt.Errorf("%s: %w", l.result.Rules, err)
		}
		if n == 0 {
			return fmt.Errorf("%s: nothing passes, and is allowed", l.result.Rules)
		}
		*measure.rate = append(*measure.rate, n/measure.rateUnit/time.Since(started).Seconds())
		*measure.cpu = append(*measure.cpu, float64(ownCPU()-before)/float64(measure.cpuUnit)*measure.cpuOf/n)
	}
	return nil
}

// check fails if the rules do not do what they are there for. Where there are none, it sends the packets all
// the same, for what was used just now is quicker.
func (l lane) check(ctx context.Context) error {
	for from, passes := range map[string]bool{client: true, newcomer: !l.judged} {
		f := l.prober.connections(from, wired[from], wired[server])
		_, _, err := f.await(ctx, passes)
		f.end()
		if err != nil {
			return fmt.Errorf("%s: packets of the %s: %w", l.result.Rules, from, err)
		}
	}
	<-time.After(apart) // what others have left is done
	return nil
}

// newConnections counts connections over TCP that are made and ended, one after the other.
func (l lane) newConnections(lasts time.Duration) (float64, error) {
	var listener net.Listener
	if err := network.In(l.pods[server], func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf(":%d", trafficPort))
		return err
	}); err != nil {
		return 0, err
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	n := 0
	err := network.In(l.pods[client], func() error {
		for until := time.Now().Add(lasts); time.Now().Before(until); n++ {
			if err := connectOnce(); err != nil {
				return err
			}
		}
		return nil
	})
	return float64(n), err
}

func connectOnce() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// Reset at the end, or the ports would soon all wait: socket(7).
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	for {
		err := unix.Connect(fd, &unix.SockaddrInet4{Addr: wired[server].As4(), Port: trafficPort})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// bytes counts those that one TCP connection carries.
func (l lane) bytes(lasts time.Duration) (float64, error) {
	conn, accepted, err := l.dial()
	if err != nil {
		return 0, err
	}
	defer accepted.Close()
	defer conn.Close()
	go func() {
		buf := make([]byte, 256<<10)
		for {
			if _, err := accepted.Read(buf); err != nil {
				return
			}
		}
	}()
	before, err := l.delivered()
	if err != nil {
		return 0, err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(lasts)); err != nil {
		return 0, err
	}
	buf := make([]byte, 128<<10)
	for {
		if _, err := conn.Write(buf); err != nil {
			break // the deadline
		}
	}
	after, err := l.delivered()
	return float64(after.RxBytes - before.RxBytes), err
}

// packets counts those over UDP, each of 64 bytes, that reach the server's namespace.
func (l lane) packets(lasts time.Duration) (float64, error) {
	var conn net.Conn
	if err := network.In(l.pods[client], func() (err error) {
		conn, err = net.Dial("udp4", netip.AddrPortFrom(wired[server], trafficPort).String())
		return err
	}); err != nil {
		return 0, err
	}
	defer conn.Close()
	before, err := l.delivered()
	if err != nil {
		return 0, err
	}
	// Who reads is not what is measured: what the socket cannot hold is dropped.
	l.prober.hold.Lock()
	defer l.prober.hold.Unlock()
	payload := make([]byte, 64)
	for until := time.Now().Add(lasts); time.Now().Before(until); {
		if _, err := conn.Write(payload); err != nil {
			return 0, err
		}
	}
	after, err := l.delivered()
	return float64(after.RxPackets - before.RxPackets), err
}

// delivered is what the server's network card has got.
func (l lane) delivered() (statistics netlink.LinkStatistics, err error) {
	err = network.In(l.pods[server], func() error {
		link, err := netlink.LinkByName("eth0")
		if err == nil {
			statistics = *link.Attrs().Statistics
		}
		return err
	})
	return statistics, err
}

// ownCPU is the processor time of this process, and of the kernel's work for it.
func ownCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
