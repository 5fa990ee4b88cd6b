package kernel

import (
	"net/netip"
	"testing"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

var (
	byVeth   = expr.LinkKind{Kind: "veth"}
	byBridge = expr.LinkKind{Kind: "bridge"}
	toBridge = expr.LinkKind{Out: true, Kind: "bridge"}
)

// The words about links and frames, which few rules have.
func TestWordsAboutLinksOverNetlinkAreThoseOfTheProgram(t *testing.T) {
	w := newTwins(t)
	table := nft.Table{
		Family: compile.TableFamily, Name: compile.TableName,
		Sets: map[string]nft.Set{
			"names":     {Key: "ifname", Comment: "some", Elements: map[string]nft.Element{`"veth0"`: {Comment: "one"}, `"a.b-c_d@e"`: {}}},
			"addresses": {Key: "ipv4_addr"},
			"macs":      {Key: "ether_addr", Elements: map[string]nft.Element{"0a:00:00:00:00:ff": {}}},
			"pairs":     {Key: "ifname . ether_addr . ipv4_addr", Elements: map[string]nft.Element{nft.Key(`"veth0"`, "0a:00:00:00:00:01", "10.0.0.1"): {}}},
			"jumps":     {Key: "ifname", Value: "verdict", Elements: map[string]nft.Element{`"veth0"`: {Value: "goto other"}}},
			"jumps6":    {Key: "ifname . ipv6_addr", Value: "verdict", Elements: map[string]nft.Element{nft.Key(`"veth0"`, "fd00::1"): {Value: "drop"}}},
		},
		Chains: map[string]nft.Chain{
			"other": {},
			"through": {
				Base: &nft.Base{Hook: nft.ForwardHook, Priority: nft.FilterPriority, Policy: nft.AcceptPolicy},
				Rules: []nft.Rule{
					nft.RuleOf(expr.Address{Field: expr.Destination4, Address: netip.MustParseAddr("10.0.0.1")}, byBridge, toBridge, expr.Drop),
					nft.RuleOf(expr.LinkKind{Out: true, Kind: "veth"}, expr.Accept),
				},
			},
			"base": {
				Base: &nft.Base{Hook: nft.PreroutingHook, Priority: nft.RawPriority, Policy: nft.AcceptPolicy},
				Rules: []nft.Rule{
					nft.RuleOf(byVeth, expr.RouteMissing{}, expr.Drop),
					nft.RuleOf(expr.In("names", expr.InName), expr.NotIn("names", expr.OutName), expr.Accept),
					nft.RuleOf(expr.By("jumps", expr.InName)),
					nft.RuleOf(expr.Address{Field: expr.Source6, Address: netip.IPv6Unspecified()}, expr.Drop),
					nft.RuleOf(expr.Address{Field: expr.Source4, Address: netip.IPv4Unspecified()}, expr.Drop),
					nft.RuleOf(expr.Transport{Protocol: expr.ICMPv6, Not: true}, expr.Accept),
					nft.RuleOf(expr.NotIn("addresses", expr.Destination4), expr.ToKind{Kind: expr.Broadcast}, expr.Drop),
				},
			},
		},
	}
	w.apply(t, nft.Replace(table))
	w.compare(t)
	w.compareListed(t, table)
}
