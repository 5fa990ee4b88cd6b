package host

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netns"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/wire"
	"github.com/apptier/apptier/internal/testenv/network"
)

func open(t testing.TB, mark compile.Mark) (*Node, netns.NsHandle) {
	t.Helper()
	requireKernel(t)
	ns, err := network.NewNamespace()
	must(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	var n *Node
	must(t, network.In(ns, func() (err error) { n, err = Open(mark, logr.Discard()); return err }))
	t.Cleanup(func() { must(t, n.Close()) })
	return n, ns
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
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program in a namespace.
func run(t testing.TB, ns netns.NsHandle, arguments ...string) string {
	t.Helper()
	var out []byte
	err := network.In(ns, func() (err error) {
		out, err = exec.CommandContext(t.Context(), arguments[0], arguments[1:]...).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("%v: %v\n%s", arguments, err, out)
	}
	return string(out)
}

// This kernel knows all features, and to ask leaves nothing behind.
func TestTheKernelHasWhatIsNeeded(t *testing.T) {
	n, ns := open(t, compile.DefaultMark)
	before, err := n.conn.Revision()
	must(t, err)
	must(t, n.Look(t.Context()))
	if !n.probed || len(n.Problems(time.Now())) > 0 {
		t.Errorf("problems %v", n.Problems(time.Now()))
	}
	after, err := n.conn.Revision()
	must(t, err)
	if out := run(t, ns, "nft", "list", "ruleset"); out != "" || after != before {
		t.Errorf("revision %d after %d, and the ruleset\n%s", after, before, out)
	}
}

// What the kernel does not know is named, with what brings it, and asked for again. In the family bridge no kernel
// looks routes up.
func TestAMissingFeatureIsNamed(t *testing.T) {
	n, _ := open(t, compile.DefaultMark)
	n.features = append(Features(),
		Feature{"routes of frames", "CONFIG_NFT_FIB_BRIDGE, Linux 9.1", table(nft.Bridge, nil, rule{expr.RouteMissing{}, expr.Drop})})
	for range 2 {
		must(t, n.Look(t.Context()))
		got := n.Problems(time.Now())
		want := []health.Problem{{Reason: kernelLacks, Severity: health.NotReady, Message: "this kernel lacks routes of frames (CONFIG_NFT_FIB_BRIDGE, Linux 9.1): " +
			`add rule "fib saddr . iif oif missing drop" of chain probe: no such file or directory`}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
	n.features = Features() // as if it had been brought
	must(t, n.Look(t.Context()))
	if got := n.Problems(time.Now()); len(got) != 0 {
		t.Errorf("all is there: %v", got)
	}
}

// What cannot be encoded was not asked for, and nothing is said to be missing.
func TestWhatWasNotAskedForIsNotMissing(t *testing.T) {
	n, _ := open(t, compile.DefaultMark)
	n.features = []Feature{{"a word", "nothing", table(nft.Inet, nil, rule{expr.In("s", expr.Field(99)), expr.Drop})}}
	if err := n.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "asking the kernel for a word") || len(n.Problems(time.Now())) != 0 {
		t.Errorf("%v, %v", err, n.Problems(time.Now()))
	}
}

// Whoever uses the enforcer's bits of connections' marks is named, and nobody else is.
func TestOthersThatUseTheMark(t *testing.T) {
	for _, test := range []struct {
		name, rule string // of the chain "ip mine own", or the arguments of iptables-nft
		bits       string // that the message names; empty for no overlap
	}{
		{"written as a whole", "ct mark set 0x1", "0xffffffff"},
		{"saved as a whole", "ct mark set meta mark", "0xffffffff"},
		{"restored as a whole", "meta mark set ct mark", "0xffffffff"},
		{"compared as a whole", "ct mark 0x1 accept", "0xffffffff"},
		{"compared with many", "ct mark { 0x1, 0x2 } accept", "0xffffffff"},
		{"compared with a range", "ct mark 0x1-0x7 accept", "0xffffffff"},
		{"dispatched by", "ct mark vmap { 0x1 : accept }", "0xffffffff"},
		{"our bits are cleared", "ct mark set ct mark & 0x0000ffff", "0xffff0000"},
		{"one of our bits is set", "ct mark set ct mark | 0x80000001", "0x80000001"},
		{"one of our bits is compared", "ct mark & 0x00010000 == 0x00010000 accept", "0x00010000"},
		{"one of our bits is restored", "meta mark set ct mark & 0x00010000", "0x00010000"},
		{"a register is used again", "ct mark & 0x1 == 0x1 ct mark set meta mark", "0xffffffff"},
		{"one of our bits is turned", "ct mark set ct mark ^ 0x80000000", "0x80000000"},
		{"shifted into ours", "ct mark set ct mark << 16", "0xffffffff"},
		{"a register is used for something else", "ct mark & 0x1 == 0x1 meta mark set meta mark << 4", ""},
		{"bits of others are set", "ct mark set ct mark & 0xffff0000 | 0x4000", ""},
		{"bits of others are compared", "ct mark & 0x0000ffff == 0x1 accept", ""},
		{"bits of others are restored", "meta mark set ct mark & 0x0000ffff", ""},
		{"packets' marks only", "meta mark & 0xffff0000 == 0x10000 meta mark set 0x20000", ""},
		{"other things of connections", "ct state new ct zone 1 accept", ""},
		{"iptables saves all", "-j CONNMARK --save-mark", "0xffffffff"},
		{"iptables restores all", "-j CONNMARK --restore-mark", "0xffffffff"},
		{"iptables sets all", "-j CONNMARK --set-mark 1", "0xffffffff"},
		{"iptables saves some of ours", "-j CONNMARK --save-mark --nfmask 0xff0000 --ctmask 0xff0000", "0x00ff0000"},
		{"iptables sets one of ours", "-j CONNMARK --set-xmark 0x10000/0x10000", "0x00010000"},
		{"iptables compares with all", "-m connmark --mark 1 -j ACCEPT", "0xffffffff"},
		{"iptables compares with one of ours", "-m connmark --mark 0x10000/0x10000 -j ACCEPT", "0x00010000"},
		{"iptables saves bits of others", "-j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff", ""},
		{"iptables restores bits of others", "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff", ""},
		{"iptables sets bits of others", "-j CONNMARK --set-xmark 0x80/0xc0", ""},
		{"iptables compares with bits of others", "-m connmark --mark 0x80/0x80 -j ACCEPT", ""},
		{"iptables' marks of packets", "-j MARK --set-mark 0x10000", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, ns := open(t, compile.DefaultMark)
			must(t, n.Look(t.Context()))
			chain := "ip mine own"
			if strings.HasPrefix(test.rule, "-") {
				if _, err := exec.LookPath("iptables-nft"); err != nil {
					t.Skip("needs the program iptables-nft (Debian package iptables)")
				}
				chain = "ip mangle PREROUTING"
				run(t, ns, append([]string{"iptables-nft", "-t", "mangle", "-A", "PREROUTING"}, strings.Fields(test.rule)...)...)
			} else {
				run(t, ns, "nft", "add table ip mine; add chain ip mine own { type filter hook prerouting priority 0; }; add rule ip mine own "+test.rule)
			}
			must(t, n.Look(t.Context()))
			var found string
			for _, p := range n.Problems(time.Now()) {
				if p.Reason != markShared || p.Severity != health.Warning {
					t.Errorf("%v", p)
				}
				found += p.Message
			}
			if test.bits == "" {
				if found != "" {
					t.Errorf("got %s", found)
				}
				return
			}
			if !strings.Contains(found, chain+" (mask "+test.bits+")") || !strings.Contains(found, "--ct-mark-mask") {
				t.Errorf("got %q, which does not name %s and %s", found, chain, test.bits)
			}
			run(t, ns, "nft", "flush", "ruleset")
			must(t, n.Look(t.Context()))
			if got := n.Problems(time.Now()); len(got) != 0 {
				t.Errorf("afterwards: %v", got)
			}
		})
	}
}

// Other bits of one's own end the overlap; the enforcer's own rules are none.
func TestTheMaskDecides(t *testing.T) {
	for mark, want := range map[compile.Mark]int{0x0000ff00: 1, compile.DefaultMark: 0} {
		n, ns := open(t, mark)
		run(t, ns, "nft", "add table inet apptier; add chain inet apptier own; add rule inet apptier own ct mark set 0x1")
		run(t, ns, "nft", "add table ip mine; add chain ip mine own; add rule ip mine own ct mark set ct mark | 0x4000")
		must(t, n.Look(t.Context()))
		if got := n.Problems(time.Now()); len(got) != want {
			t.Errorf("%s: %v", mark, got)
		}
	}
}

// Flow tables take packets past the rules. Few kernels of tests have them, so what was found is given here.
func TestFlowTablesMakeANodeNotReady(t *testing.T) {
	got := problems(nil, wire.Others{FlowTables: []wire.FlowTable{{Family: "inet", Table: "fw", Name: "fast"}}}, compile.DefaultMark)
	if len(got) != 1 || got[0].Reason != flowTables || health.Ready(got) || !strings.Contains(got[0].Message, "inet fw fast") {
		t.Errorf("%v", got)
	}
}

// The same with a real flow table, where the kernel has them.
func TestAFlowTableIsFound(t *testing.T) {
	n, ns := open(t, compile.DefaultMark)
	const text = "table inet fw { flowtable fast { hook ingress priority 0; devices = { lo }; }\n" +
		"chain f { type filter hook forward priority 0; ip protocol tcp flow add @fast; }; }"
	file := t.TempDir() + "/rules"
	must(t, os.WriteFile(file, []byte(text), 0o600))
	var out []byte
	err := network.In(ns, func() (err error) {
		out, err = exec.CommandContext(t.Context(), "nft", "-f", file).CombinedOutput()
		return err
	})
	if err != nil {
		t.Skipf("this kernel has no flow tables (CONFIG_NF_FLOW_TABLE_INET): %s", out)
	}
	must(t, n.Look(t.Context()))
	if got := n.Problems(time.Now()); len(got) != 1 || got[0].Reason != flowTables {
		t.Errorf("%v", got)
	}
}
