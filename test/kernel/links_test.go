package kernel

import (
	"testing"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
)

// The words about links and frames, which few rules have.
func TestWordsAboutLinksOverNetlinkAreThoseOfTheProgram(t *testing.T) {
	w := newTwins(t)
	table := nft.Table{
		Family: compile.TableFamily, Name: compile.TableName,
		Sets: map[string]nft.Set{
			"names":  {Key: "ifname", Comment: "some", Elements: map[string]nft.Element{`"veth0"`: {Comment: "one"}, `"a.b-c_d@e"`: {}}},
			"macs":   {Key: "ether_addr", Elements: map[string]nft.Element{"0a:00:00:00:00:ff": {}}},
			"pairs":  {Key: "ifname . ether_addr . ipv4_addr", Elements: map[string]nft.Element{nft.Key(`"veth0"`, "0a:00:00:00:00:01", "10.0.0.1"): {}}},
			"jumps":  {Key: "ifname", Value: "verdict", Elements: map[string]nft.Element{`"veth0"`: {Value: "goto other"}}},
			"jumps6": {Key: "ifname . ipv6_addr", Value: "verdict", Elements: map[string]nft.Element{nft.Key(`"veth0"`, "fd00::1"): {Value: "drop"}}},
		},
		Chains: map[string]nft.Chain{
			"other": {},
			"through": {
				Base: &nft.Base{Hook: nft.ForwardHook, Priority: nft.FilterPriority, Policy: nft.AcceptPolicy},
				Rules: []nft.Rule{
					{Expr: `ip daddr 10.0.0.1 meta iifkind "bridge" meta oifkind "bridge" drop`},
					{Expr: `meta oifkind "veth" accept`},
				},
			},
			"base": {
				Base: &nft.Base{Hook: nft.PreroutingHook, Priority: nft.RawPriority, Policy: nft.AcceptPolicy},
				Rules: []nft.Rule{
					{Expr: `meta iifkind "veth" fib saddr . iif oif missing drop`}, {Expr: "iifname @names oifname != @names accept"},
					{Expr: "iifname vmap @jumps"}, {Expr: "ip6 saddr :: drop"}, {Expr: "ip saddr 0.0.0.0 drop"},
					{Expr: "meta l4proto != icmpv6 accept"},
					{Expr: "meta nfproto ipv4 fib daddr type broadcast drop"},
				},
			},
		},
	}
	w.apply(t, nft.Replace(table))
	w.compare(t)
	w.compareListed(t, table)
}
