package kernel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// openOwned opens the node's kernel as the enforcer does, and skips where tables cannot have owners.
func openOwned(t *testing.T, l labNode) (kernel nft.Kernel, end func()) {
	t.Helper()
	lab.Must(t, network.In(l.Node, func() (err error) {
		kernel, err = nft.Open(compile.TableFamily, compile.TableName, nft.Owned)
		return err
	}))
	end = func() { lab.Must(t, kernel.(interface{ Close() error }).Close()) }
	if !kernel.(interface{ IsOwned() bool }).IsOwned() {
		end()
		t.Skip("needs Linux 6.9: tables with owners that outlive them")
	}
	return kernel, end
}

// A firewall that restarts flushes everything. Nothing passes then that may not, where the table is owned;
// elsewhere until the agent has looked.
func TestAFlushOpensNothing(t *testing.T) {
	for _, owned := range []bool{true, false} {
		t.Run(map[bool]string{true: "owned", false: "not owned"}[owned], func(t *testing.T) {
			l := newLab(t, lab.Routed)
			snapshot := l.Shop()
			snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}}`)}
			o := agent.Options{Node: lab.NodeName, Log: logr.Discard()}
			if owned {
				kernel, end := openOwned(t, l)
				t.Cleanup(end)
				o.Kernel = kernel
			}
			l.runWith(t, fake.NewClientset(objects(snapshot)...), o)
			l.awaitRules(t)
			sent, arrived := l.trickle(t, l.Host("local-2"), l.Host("local-0"))
			const flushes = 10
			for range flushes {
				l.NFT(t, "flush ruleset")
				if !owned {
					l.awaitRules(t)
				}
				<-time.After(50 * time.Millisecond)
			}
			t.Logf("%d packets of %d passed, in %d flushes", arrived.Load(), sent.Load(), flushes)
			if owned && arrived.Load() > 0 {
				t.Error("a flush lets packets pass")
			}
			if !owned && arrived.Load() == 0 {
				t.Error("no packet passes although nothing keeps the table: the test cannot tell")
			}
		})
	}
}

// trickle sends a datagram a millisecond, until the test ends.
func (l labNode) trickle(t *testing.T, from, to lab.Host) (sent, arrived *atomic.Int64) {
	t.Helper()
	sent, arrived = new(atomic.Int64), new(atomic.Int64)
	at := netip.AddrPortFrom(to.V4, 9999)
	var receiver *net.UDPConn
	lab.Must(t, network.In(to.NS, func() (err error) {
		receiver, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	}))
	var sender net.Conn
	lab.Must(t, network.In(from.NS, func() (err error) { sender, err = net.Dial("udp", at.String()); return err }))
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); _ = receiver.Close(); _ = sender.Close() })
	go func() {
		for b := make([]byte, 16); ; arrived.Add(1) {
			if _, err := receiver.Read(b); err != nil {
				return
			}
		}
	}()
	go func() {
		ticks := time.NewTicker(time.Millisecond)
		defer ticks.Stop()
		for ctx.Err() == nil {
			<-ticks.C
			if _, err := sender.Write([]byte("x")); err == nil {
				sent.Add(1)
			}
		}
	}()
	return sent, arrived
}

// An owned table outlives its owner, the next one takes it over, and without one anybody can remove it.
func TestAnOwnedTableOutlivesItsOwner(t *testing.T) {
	l := newLab(t, lab.Routed)
	snapshot := l.Shop()
	snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}}`)}
	table := l.Table(snapshot, 1)
	l.Load(t, snapshot, 1) // by an enforcer that does not own it
	denied := []lab.Cell{{From: l.Host("local-2"), To: l.Host("local-0"), Protocol: lab.ICMP}}
	for range 2 {
		kernel, end := openOwned(t, l)
		lab.Must(t, nft.Apply(t.Context(), kernel, nft.Replace(table)))
		if marker, found, err := nft.Marker(t.Context(), kernel, compile.StampChain); err != nil || !found || marker == "" {
			t.Error(marker, found, err)
		}
		contents, err := kernel.Contents(t.Context(), true)
		lab.Must(t, err)
		if difference := (&nft.Auditor{}).Compare(table, contents); difference != "" {
			t.Error(difference)
		}
		other := openNode(t, l.Node)
		if err := nft.RemoveTable(t.Context(), other); err == nil {
			t.Error("another process removes it")
		}
		end()
		if l.Probe(t, denied, idle)[0] {
			t.Error("the rules end with their owner")
		}
	}
	t.Run("an enforcer that owns no tables takes it over", func(t *testing.T) {
		l.Load(t, snapshot, 2)
		if l.Probe(t, denied, idle)[0] {
			t.Error("not enforced")
		}
	})
	kernel, end := openOwned(t, l)
	lab.Must(t, nft.Apply(t.Context(), kernel, nft.Replace(table)))
	end()
	lab.Must(t, nft.RemoveTable(t.Context(), openNode(t, l.Node)))
	if !l.Probe(t, denied, soon)[0] {
		t.Error("not removed")
	}
}

// What package wire says the kernel would take is what the nft program says, and neither changes anything.
func TestAKernelIsAskedWithoutTheProgram(t *testing.T) {
	l := newLab(t, lab.Routed)
	kernel := openNode(t, l.Node).Kernel
	chain := func(name string) nft.Op { return nft.Op{Verb: nft.Add, Object: &knftables.Chain{Name: name}} }
	leads := func(from, to string) nft.Op { return nft.Op{Verb: nft.Add, Object: jump(from, to)} }
	start := []nft.Op{{Verb: nft.Add, Object: &knftables.Table{}}, chain("a"), chain("b")}
	for _, test := range []struct {
		name string
		ops  []nft.Op
		ok   bool
	}{
		{"a whole table", nft.Replace(l.Table(l.Shop(), 1)), true},
		{"a jump", append(start[:3:3], leads("a", "b")), true},
		{"a jump to nowhere", append(start[:3:3], leads("a", "c")), false},
		{"a chain that is not there", append(start[:3:3], nft.Op{Verb: nft.Delete, Object: &knftables.Chain{Name: "c"}}), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			direct := nft.Check(t.Context(), kernel, test.ops)
			var program error
			lab.Must(t, network.In(l.Node, func() error {
				program = nft.Check(t.Context(), struct{ nft.Kernel }{kernel}, test.ops)
				return nil
			}))
			if (direct == nil) != test.ok || (program == nil) != test.ok {
				t.Errorf("over netlink %v, by the program %v", direct, program)
			}
			if contents, err := kernel.Contents(t.Context(), true); err != nil || len(contents.Chains) > 0 {
				t.Errorf("something was changed: %v, %v", contents, err)
			}
		})
	}
	t.Run("there is no program", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		bare := openNode(t, l.Node)
		lab.Must(t, nft.Apply(t.Context(), bare.Kernel, nft.Replace(l.Table(l.Shop(), 1))))
		err := nft.Apply(t.Context(), bare.Kernel, []nft.Op{{Verb: nft.Add, Object: &knftables.Flowtable{Name: "f"}}})
		if err == nil || !errors.As(err, new(interface{ Unwrap() error })) {
			t.Errorf("what only the program knows: %v", err)
		}
	})
}
