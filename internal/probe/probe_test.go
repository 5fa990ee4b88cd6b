package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/internal/testenv/network"
)

func TestOutcomeOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		want Outcome
	}{
		{nil, Connected},
		{syscall.ECONNREFUSED, Refused},
		{syscall.ECONNRESET, Refused},
		{os.ErrDeadlineExceeded, Silent},
		{context.DeadlineExceeded, Silent},
		{syscall.ETIMEDOUT, Silent},
		{syscall.EHOSTUNREACH, Unreachable},
		{syscall.ENETUNREACH, Unreachable},
		{syscall.EPERM, Forbidden},
		{syscall.EACCES, Forbidden},
		{syscall.EMFILE, Failed},
		{context.Canceled, Failed},
	} {
		wrapped := test.err
		if wrapped != nil {
			wrapped = fmt.Errorf("dialing: %w", &net.OpError{Op: "dial", Err: test.err})
		}
		if got := outcomeOf(wrapped); got != test.want {
			t.Errorf("%v: %c, want %c", test.err, got, test.want)
		}
	}
}

// What one side writes the other reads, whatever it is.
func TestRoundTrip(t *testing.T) {
	targets := rapid.Custom(func(t *rapid.T) Target {
		address := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "IPv4")))
		if rapid.Bool().Draw(t, "IPv6") {
			address = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "IPv6")))
		}
		return Target{
			Protocol: rapid.SampledFrom([]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP}).Draw(t, "protocol"),
			Address:  netip.AddrPortFrom(address, rapid.Uint16().Draw(t, "port")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		order := Order{
			Targets: rapid.SliceOfN(targets, 1, MostTargets).Draw(t, "targets"),
			Timeout: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "timeout")),
			After:   time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "after")),
		}
		read, err := ParseArgs(order.Args()[1:])
		if err != nil || !slices.Equal(read.Targets, order.Targets) || read.Timeout != order.Timeout || read.After != order.After {
			t.Fatalf("%v became %v: %v", order, read, err)
		}
		all := []Outcome{Connected, Refused, Silent, Unreachable, Forbidden, Failed}
		outcomes := rapid.SliceOfN(rapid.SampledFrom(all), 1, MostTargets).Draw(t, "outcomes")
		got, err := ParseMessage(Message(outcomes), len(outcomes))
		if err != nil || !slices.Equal(got, outcomes) {
			t.Fatalf("%q became %q: %v", outcomes, got, err)
		}
	})
}

// A message that is cut short, or somebody else's, is none: it passes for no outcome.
func TestNoMessage(t *testing.T) {
	whole := Message([]Outcome{Connected, Silent})
	for _, text := range []string{"", "manager: flag provided but not defined", header, whole[:len(whole)-1], whole + "c", header + "xy"} {
		if outcomes, err := ParseMessage(text, 2); !errors.Is(err, ErrNoMessage) {
			t.Errorf("%q became %q: %v", text, outcomes, err)
		}
	}
}

func TestBadArgs(t *testing.T) {
	for args, want := range map[string]string{
		"":                              "0 targets",
		"tcp/10.0.0.1":                  "is not a target",
		"10.0.0.1:80":                   "write tcp/ADDRESS:PORT",
		"sctp/10.0.0.1:80":              "write tcp/ADDRESS:PORT",
		"--timeout=0s tcp/10.0.0.1:80":  "the timeout 0s is none",
		"--timeout=now tcp/10.0.0.1:80": "reading the flags",
		strings.Repeat("tcp/10.0.0.1:80 ", MostTargets+1): "251 targets",
	} {
		if _, err := ParseArgs(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", args, err, want)
		}
	}
}

// The probe takes no longer than those who wait for it think.
func TestLongest(t *testing.T) {
	for targets, want := range map[int]time.Duration{1: 4 * time.Second, 32: 4 * time.Second, 33: 7 * time.Second, 250: 25 * time.Second} {
		if got := Longest(targets, 3*time.Second, time.Second); got != want {
			t.Errorf("%d targets: %s, want %s", targets, got, want)
		}
	}
}

// listening is a server over TCP or UDP, which answers datagrams if it is to.
func listening(t *testing.T, protocol corev1.Protocol, answers bool) Target {
	t.Helper()
	if protocol == corev1.ProtocolTCP {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return Target{protocol, l.Addr().(*net.TCPAddr).AddrPort()}
	}
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		buffer := make([]byte, 512)
		for {
			_, from, err := l.ReadFrom(buffer)
			if err != nil {
				return // it is closed
			}
			if answers {
				_, _ = l.WriteTo([]byte("yes"), from) // whoever asked asks again
			}
		}
	})
	t.Cleanup(func() { _ = l.Close(); served.Wait() })
	return Target{protocol, l.LocalAddr().(*net.UDPAddr).AddrPort()}
}

// closed is where nothing listens: a server that was there.
func closed(t *testing.T, protocol corev1.Protocol) Target {
	t.Helper()
	var gone Target
	t.Run("server", func(t *testing.T) { gone = listening(t, protocol, false) })
	return gone
}

// The message says of each target what its server did, in their order, also where none is in a hurry.
func TestRun(t *testing.T) {
	targets := []Target{
		listening(t, corev1.ProtocolTCP, true), closed(t, corev1.ProtocolTCP),
		listening(t, corev1.ProtocolUDP, true), closed(t, corev1.ProtocolUDP), listening(t, corev1.ProtocolUDP, false),
	}
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	order := Order{Targets: targets, Timeout: 200 * time.Millisecond}
	if err := run(t.Context(), order.Args()[1:], &out, log); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	const want = header + "crcrs"
	if string(left) != want || strings.TrimSpace(out.String()) != want {
		t.Errorf("it left %q and printed %q, want %q", left, &out, want)
	}
	if err := run(t.Context(), order.Args()[1:], &out, log+"-none"); err != nil {
		t.Errorf("outside of a pod: %v", err)
	}
}

// Nothing answers at an address of which no packet comes back, and the probe takes its timeout, no longer.
func TestSilent(t *testing.T) {
	ns, err := network.NewNamespace()
	if err != nil {
		t.Skipf("needs root: %v", err)
	}
	defer ns.Close()
	var outcomes []Outcome
	var took time.Duration
	err = network.In(ns, func() error {
		if err := network.AddBridge("quiet"); err != nil {
			return err
		}
		if err := network.Configure("quiet", netip.MustParsePrefix("10.9.0.1/24")); err != nil {
			return err
		}
		from := time.Now()
		// One after another, on this thread: another would be in another namespace.
		for _, target := range []string{"tcp/10.9.0.2:80", "udp/10.9.0.2:80", "tcp/10.8.0.1:80"} {
			parsed, err := ParseTarget(target)
			if err != nil {
				return err
			}
			outcomes = append(outcomes, outcomeOf(try(t.Context(), parsed, 300*time.Millisecond)))
		}
		took = time.Since(from)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []Outcome{Silent, Silent, Unreachable}; !slices.Equal(outcomes, want) {
		t.Errorf("%c, want %c", outcomes, want)
	}
	if took < 600*time.Millisecond || took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A probe that is told to wait does, and one that is ended meanwhile says nothing.
func TestAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var out bytes.Buffer
		order := Order{Targets: []Target{{corev1.ProtocolTCP, netip.MustParseAddrPort("127.0.0.1:1")}}, Timeout: time.Second, After: time.Minute}
		if err := run(ctx, order.Args()[1:], &out, ""); !errors.Is(err, context.DeadlineExceeded) || out.Len() > 0 {
			t.Errorf("%v, and it printed %q", err, &out)
		}
	})
}
