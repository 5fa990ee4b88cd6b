package host

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// Others' rules are seen at start, and changes of them with the next look.
func TestChangesOfOthersAreNoticed(t *testing.T) {
	n, ns := open(t, compile.DefaultMark)
	add := func(t *testing.T, name string) {
		t.Helper()
		run(t, ns, "nft", "add table ip "+name+"; add chain ip "+name+" own; add rule ip "+name+" own ct mark set 0x1")
	}
	synctest.Test(t, func(t *testing.T) {
		said := func() string {
			synctest.Wait()
			if got := n.Problems(time.Now()); len(got) > 0 {
				return got[0].Message
			}
			return ""
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		add(t, "first")
		go func() { defer close(done); n.Watch(ctx) }()
		if got := said(); !strings.Contains(got, "ip first own") {
			t.Errorf("at start: %q", got)
		}
		add(t, "second")
		<-time.After(lookEvery / 2)
		if got := said(); strings.Contains(got, "ip second own") {
			t.Errorf("looked too soon: %q", got)
		}
		<-time.After(lookEvery/2 + time.Second)
		if got := said(); !strings.Contains(got, "ip first own (mask 0xffffffff), ip second own (mask 0xffffffff)") {
			t.Errorf("a minute later: %q", got)
		}
		cancel()
		<-done
	})
}

// What the rules ask the kernel about packets is asked for at start: whoever adds a word adds a feature.
func TestFeaturesCoverTheRules(t *testing.T) {
	words := regexp.MustCompile(`\b(ct (?:original|reply)?|meta|fib) ?\w+`)
	of := func(tables ...nft.Table) map[string]bool {
		found := map[string]bool{}
		for _, table := range tables {
			for _, chain := range table.Chains {
				for _, r := range chain.Rules {
					for _, word := range words.FindAllString(r.Exprs.String(), -1) {
						found[string(table.Family)+" "+word] = true
					}
				}
			}
		}
		return found
	}
	var probed []nft.Table
	for _, f := range Features() {
		probed = append(probed, f.Table)
	}
	asked := of(probed...)
	address := netip.MustParseAddr("10.0.0.1")
	used := []nft.Table{bind.Table(bind.Bindings{"veth0": {MAC: "02:00:00:00:00:01", Addresses: []netip.Addr{address}}}, nil, nil)}
	for seed := range 50 {
		used = append(used, compile.Compile(reachtest.Snapshot().Example(seed), "node-0").Table(1))
	}
	if len(of(used...)) < 8 {
		t.Errorf("the rules have few words: %v", of(used...))
	}
	for word := range of(used...) {
		if !asked[word] {
			t.Errorf("rules with %q, and no feature has it", word)
		}
	}
}

// BenchmarkLook lists a node's rules of others, as after a change of them.
func BenchmarkLook(b *testing.B) {
	requireKernel(b)
	for _, rules := range []int{1000, 20_000} {
		b.Run(fmt.Sprintf("%d rules", rules), func(b *testing.B) {
			n, ns := open(b, compile.DefaultMark)
			var text strings.Builder
			text.WriteString("table ip services { chain own {\n")
			for i := range rules {
				fmt.Fprintf(&text, "ip daddr 10.%d.%d.%d tcp dport 80 counter meta mark set meta mark | 0x4000\n", i>>16, i>>8&0xff, i&0xff)
			}
			text.WriteString("}\n}\n")
			file := b.TempDir() + "/rules"
			must(b, os.WriteFile(file, []byte(text.String()), 0o600))
			run(b, ns, "nft", "-f", file)
			must(b, n.Look(b.Context()))
			for b.Loop() {
				n.listed = false
				must(b, n.Look(b.Context()))
			}
		})
	}
}
