package bind

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
)

// The table is ours alone, as that of package compile is.
const (
	TableFamily = nft.Bridge
	TableName   = "apptier"
)

const (
	sourceChain    = "source"
	forwardChain   = "forward"
	portChain      = "port"
	neighbourChain = "neighbour"
	unboundChain   = "unbound"
	strangerChain  = "stranger"
	arrivalChain   = "arrival"

	// Chains that end in a drop, each with a counter of its own name.
	deniedSpoofed = "denied-spoofed"
	deniedUnbound = "denied-unbound"
	deniedAstray  = "denied-astray"

	bound4Set  = "bound4"
	bound6Set  = "bound6"
	reach4Set  = "reach4"
	reach6Set  = "reach6"
	macSet     = "macs"
	podSet     = "pods"
	portMap    = "ports"
	taken4Set  = "taken4"
	taken6Set  = "taken6"
	othersSet  = "others"
	ipv4Type   = "ipv4_addr"
	ipv6Type   = "ipv6_addr"
	linkType   = "ifname"
	macType    = "ether_addr"
	portPrefix = portChain + "-"
)

var denials = map[string]string{
	deniedSpoofed: "a pod's port, and addresses that are not the pod's",
	deniedUnbound: "from a port that is bound to no pod to a pod",
	deniedAstray:  "from a pod to another's port, and not to that pod's address",
}

// Denials returns the names of the counters of packets that were dropped, by why they were.
func Denials() map[string]string {
	return map[string]string{"spoofed": deniedSpoofed, "unbound": deniedUnbound, "astray": deniedAstray}
}

// Table returns the table for these bindings. Own are the node's addresses on its bridges, which no port may
// use. Others are ports of the kind veth that lead to no other namespace, and so to no pod.
func Table(bindings Bindings, own []netip.Addr, others []string) nft.Table {
	t := skeleton()
	for _, a := range own {
		t.take(a, "this node")
	}
	for _, name := range others {
		if nameable(name) {
			t.Sets[othersSet].Elements[strconv.Quote(name)] = nft.Element{}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bindings)) {
		if nameable(name) {
			t.bind(name, bindings[name])
		}
	}
	return t.Table
}

// nameable tells whether a name can be that of a chain, as those that network plugins give to their links can.
// Other ports stay unbound.
func nameable(name string) bool { return plain.MatchString(name) }

var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)

type table struct{ nft.Table }

func (t table) bind(name string, b Binding) {
	port, comment := strconv.Quote(name), nft.Element{Comment: nft.Remark(b.Pod)}
	t.Sets[podSet].Elements[port] = comment
	t.Sets[macSet].Elements[nft.Key(port, b.MAC)] = nft.Element{}
	t.Sets[portMap].Elements[port] = nft.Element{Value: "goto " + portPrefix + name}
	chain := nft.Chain{Comment: nft.Remark(b.Pod), Rules: ownMAC(b.MAC)}
	for _, a := range b.Addresses {
		set, reach := bound4Set, reach4Set
		if a.Is6() {
			set, reach = bound6Set, reach6Set
			chain.Rules = append(chain.Rules, nft.Rule{
				Expr:    "ether type ip6 icmpv6 type 135-136 @th,64,128 0x" + hex.EncodeToString(a.AsSlice()) + " goto " + neighbourChain,
				Comment: "about its address " + a.String(),
			})
		}
		t.Sets[set].Elements[nft.Key(port, b.MAC, a.String())] = comment
		t.Sets[reach].Elements[nft.Key(port, a.String())] = comment
		t.take(a, b.Pod)
	}
	chain.Rules = append(chain.Rules, goTo(portChain))
	t.Chains[portPrefix+name] = chain
}

// ownMAC are rules against messages of discovery that send what is for the pod to another's MAC. Each has the option at
// one place: see sourceRules.
func ownMAC(mac string) []nft.Rule {
	digits := strings.ReplaceAll(mac, ":", "")
	var rules []nft.Rule
	for _, m := range []struct{ kind, option, at int }{{133, 1, 64}, {135, 1, 192}, {136, 2, 192}} {
		rules = append(rules, nft.Rule{Expr: fmt.Sprintf("ether type ip6 icmpv6 type %d @th,%d,16 0x%02x01 @th,%d,48 != 0x%s goto %s",
			m.kind, m.at, m.option, m.at+16, digits, deniedSpoofed), Comment: "its address at another's MAC"})
	}
	return rules
}

func (t table) take(a netip.Addr, by string) {
	set := taken4Set
	if a.Is6() {
		set = taken6Set
	}
	t.Sets[set].Elements[a.String()] = nft.Element{Comment: nft.Remark(by)}
}

// skeleton is the table without bindings.
func skeleton() table {
	t := nft.Table{
		Family:  TableFamily,
		Name:    TableName,
		Comment: "Addresses of pods on bridges, written by the apptier enforcer",
		Sets: map[string]nft.Set{
			bound4Set: {Key: nft.Key(linkType, macType, ipv4Type), Comment: "what pods' ports may send as"},
			bound6Set: {Key: nft.Key(linkType, macType, ipv6Type), Comment: "what pods' ports may send as"},
			reach4Set: {Key: nft.Key(linkType, ipv4Type), Comment: "what pods' ports may be sent"},
			reach6Set: {Key: nft.Key(linkType, ipv6Type), Comment: "what pods' ports may be sent"},
			macSet:    {Key: nft.Key(linkType, macType), Comment: "the MAC addresses behind pods' ports"},
			podSet:    {Key: linkType, Comment: "pods' ports"},
			othersSet: {Key: linkType, Comment: "ports that lead to no pod"},
			portMap:   {Key: linkType, Value: "verdict", Comment: "pods' ports"},
			taken4Set: {Key: ipv4Type, Comment: "what other ports may not send as"},
			taken6Set: {Key: ipv6Type, Comment: "what other ports may not send as"},
		},
		Chains: map[string]nft.Chain{
			sourceChain: {
				Base:  &nft.Base{Hook: nft.PreroutingHook, Priority: nft.FilterPriority, Policy: nft.AcceptPolicy},
				Rules: sourceRules(),
			},
			portChain:      {Comment: "of a pod's port, and not plain traffic from its addresses", Rules: portRules()},
			neighbourChain: {Comment: "discovery about an address of the port's pod", Rules: neighbourRules()},
			unboundChain:   {Comment: "a pod that is not known yet, or no pod", Rules: unboundRules()},
			forwardChain: {
				Base:  &nft.Base{Hook: nft.ForwardHook, Priority: nft.FilterPriority, Policy: nft.AcceptPolicy},
				Rules: forwardRules(),
			},
			strangerChain: {Comment: "from a port that is bound to no pod to a pod", Rules: strangerRules()},
			arrivalChain:  {Comment: "from a pod to a port, and not plain traffic to its addresses", Rules: arrivalRules()},
		},
		Counters: map[string]nft.Counter{},
	}
	for name, s := range t.Sets {
		s.Elements = map[string]nft.Element{}
		t.Sets[name] = s
	}
	for name, why := range denials {
		t.Chains[name] = nft.Chain{Comment: why, Rules: []nft.Rule{{Expr: "counter name " + name + " drop"}}}
		t.Counters[name] = nft.Counter{Comment: why}
	}
	return table{t}
}

const (
	from4 = "ether type ip iifname . ether saddr . ip saddr @" + bound4Set
	from6 = "ether type ip6 iifname . ether saddr . ip6 saddr @" + bound6Set
	byMAC = "iifname . ether saddr @" + macSet
)

// sourceRules pass nearly everything in one of the first two.
func sourceRules() []nft.Rule {
	return []nft.Rule{
		{Expr: from4 + " accept"},
		{Expr: from6 + " meta l4proto != icmpv6 accept"},
		// One option of 8 bytes at the most is what pods send, and what ownMAC reads: RFC 4861, sections 4.1, 4.3 and 4.4.
		{Expr: "ether type ip6 icmpv6 type 133 ip6 length > 16 iifname @" + podSet + " goto " + deniedSpoofed, Comment: "options that hide others"},
		{Expr: "ether type ip6 icmpv6 type 135-136 ip6 length > 32 iifname @" + podSet + " goto " + deniedSpoofed, Comment: "options that hide others"},
		{Expr: "iifname vmap @" + portMap},
		{Expr: `meta iifkind "veth" goto ` + unboundChain},
	}
}

func portRules() []nft.Rule {
	spoofed := " goto " + deniedSpoofed
	return []nft.Rule{
		// The sender by the frame, and by what the message says: RFC 826.
		{Expr: "ether type arp iifname . ether saddr . arp saddr ip @" + bound4Set + " iifname . arp saddr ether . arp saddr ip @" + bound4Set + " accept"},
		{Expr: "ether type arp arp saddr ip 0.0.0.0 " + byMAC + " accept", Comment: "does anyone have this address (RFC 5227)"},
		{Expr: "ether type ip6 icmpv6 type 136-137" + spoofed, Comment: "an advertisement about another's address, or a redirect"},
		{Expr: "ether type ip6 icmpv6 type 134" + spoofed, Comment: "no pod is a router"},
		{Expr: from6 + " accept"},
		{Expr: "ether type ip6 ip6 saddr :: icmpv6 type 133 " + byMAC + " accept", Comment: "without an address yet (RFC 4861)"},
		{Expr: "ether type ip6 ip6 saddr :: icmpv6 type 143 " + byMAC + " accept", Comment: "without an address yet (RFC 3590)"},
		goTo(deniedSpoofed),
	}
}

func neighbourRules() []nft.Rule {
	return []nft.Rule{
		{Expr: from6 + " accept"},
		{Expr: "ether type ip6 ip6 saddr :: " + byMAC + " accept", Comment: "does anyone have this address (RFC 4862)"},
		goTo(deniedSpoofed),
	}
}

func unboundRules() []nft.Rule {
	spoofed := " goto " + deniedSpoofed
	return []nft.Rule{
		{Expr: "ether type ip ip saddr @" + taken4Set + spoofed},
		{Expr: "ether type arp arp saddr ip @" + taken4Set + spoofed},
		{Expr: "ether type ip6 ip6 saddr @" + taken6Set + spoofed},
	}
}

// forwardRules judge what passes from port to port. The rules of IP judge it by its addresses, so it must reach
// whom it names: two pods that work together could agree on a frame for the one and an address that the
// other may reach.
func forwardRules() []nft.Rule {
	return []nft.Rule{
		{Expr: "ether type ip oifname . ip daddr @" + reach4Set + " iifname @" + podSet + " accept"},
		{Expr: "ether type ip6 oifname . ip6 daddr @" + reach6Set + " iifname @" + podSet + " accept"},
		{Expr: "iifname @" + podSet + ` meta oifkind "veth" oifname != @` + othersSet + " goto " + arrivalChain},
		{Expr: "iifname @" + podSet + " accept"},
		{Expr: "oifname @" + podSet + ` meta iifkind "veth" iifname != @` + othersSet + " goto " + strangerChain},
	}
}

// arrivalRules pass what finds neighbours.
func arrivalRules() []nft.Rule {
	return []nft.Rule{
		{Expr: "ether type arp accept"},
		{Expr: "ether type ip6 icmpv6 type 135-136 accept"},
		goTo(deniedAstray),
	}
}

// strangerRules pass what a pod that has just come says, so that its neighbours forget the one that had its
// address before. It may not be about an address that is bound: see unboundRules.
func strangerRules() []nft.Rule {
	return []nft.Rule{
		{Expr: "ether type arp accept"},
		{Expr: "ether type ip6 icmpv6 type 135 accept", Comment: fmt.Sprintf("but no advertisement: what it is about nft %s cannot look up", "1.0.6")},
		goTo(deniedUnbound),
	}
}

func goTo(chain string) nft.Rule { return nft.Rule{Expr: "goto " + chain} }
