package bind

import (
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
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

// nameable says whether a name can be that of a chain, as those that network plugins give to their links can.
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
			chain.Rules = append(chain.Rules, nft.Remarked("about its address "+a.String(),
				isIPv6, discovery, expr.Raw{Offset: 8, Bytes: string(a.AsSlice())}, expr.GoTo(neighbourChain)))
		}
		t.Sets[set].Elements[nft.Key(port, b.MAC, a.String())] = comment
		t.Sets[reach].Elements[nft.Key(port, a.String())] = comment
		t.take(a, b.Pod)
	}
	chain.Rules = append(chain.Rules, nft.RuleOf(expr.GoTo(portChain)))
	t.Chains[portPrefix+name] = chain
}

// ownMAC are rules against messages of discovery that send what is for the pod to another's MAC. Each has the option at
// one place: see sourceRules.
func ownMAC(mac string) []nft.Rule {
	address, err := net.ParseMAC(mac)
	if err != nil {
		return nil // no set takes it either
	}
	var rules []nft.Rule
	for _, m := range []struct {
		kind, option uint8
		at           uint32
	}{{133, 1, 8}, {135, 1, 24}, {136, 2, 24}} {
		rules = append(rules, nft.Remarked("its address at another's MAC", isIPv6, message(m.kind),
			expr.Raw{Offset: m.at, Bytes: string([]byte{m.option, 1})}, expr.Raw{Offset: m.at + 2, Not: true, Bytes: string(address)}, spoofed))
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
		t.Chains[name] = nft.Chain{Comment: why, Rules: []nft.Rule{nft.RuleOf(expr.Counter{Name: name}, expr.Drop)}}
		t.Counters[name] = nft.Counter{Comment: why}
	}
	return table{t}
}

var (
	isIPv4 = expr.EtherType{Network: expr.IPv4}
	isIPv6 = expr.EtherType{Network: expr.IPv6}
	isARP  = expr.EtherType{Network: expr.ARP}
	// from4 and from6 are behind isIPv4 and isIPv6.
	from4 = expr.In(bound4Set, expr.InName, expr.EtherSource, expr.Source4)
	from6 = expr.In(bound6Set, expr.InName, expr.EtherSource, expr.Source6)
	byMAC = expr.In(macSet, expr.InName, expr.EtherSource)

	byPod     = expr.In(podSet, expr.InName)
	toPod     = expr.In(podSet, expr.OutName)
	byVeth    = expr.LinkKind{Kind: "veth"}
	toVeth    = expr.LinkKind{Out: true, Kind: "veth"}
	nowhere   = expr.Address{Field: expr.Source6, Address: netip.IPv6Unspecified()}
	discovery = expr.ICMPv6Type{First: 135, Last: 136}
	spoofed   = expr.GoTo(deniedSpoofed)
)

// message matches ICMPv6 messages of one type.
func message(kind uint8) expr.ICMPv6Type { return expr.ICMPv6Type{First: kind, Last: kind} }

// sourceRules pass nearly everything in one of the first two.
func sourceRules() []nft.Rule {
	return []nft.Rule{
		nft.RuleOf(isIPv4, from4, expr.Accept),
		nft.RuleOf(isIPv6, from6, expr.Transport{Protocol: expr.ICMPv6, Not: true}, expr.Accept),
		// One option of 8 bytes at the most is what pods send, and what ownMAC reads: RFC 4861, sections 4.1, 4.3 and 4.4.
		nft.Remarked("options that hide others", isIPv6, message(133), expr.LongerThan{Bytes: 16}, byPod, spoofed),
		nft.Remarked("options that hide others", isIPv6, discovery, expr.LongerThan{Bytes: 32}, byPod, spoofed),
		nft.RuleOf(expr.By(portMap, expr.InName)),
		nft.RuleOf(byVeth, expr.GoTo(unboundChain)),
	}
}

func portRules() []nft.Rule {
	return []nft.Rule{
		// The sender by the frame, and by what the message says: RFC 826.
		nft.RuleOf(isARP, expr.In(bound4Set, expr.InName, expr.EtherSource, expr.ARPSenderIP),
			expr.In(bound4Set, expr.InName, expr.ARPSenderMAC, expr.ARPSenderIP), expr.Accept),
		nft.Remarked("does anyone have this address (RFC 5227)",
			isARP, expr.Address{Field: expr.ARPSenderIP, Address: netip.IPv4Unspecified()}, byMAC, expr.Accept),
		nft.Remarked("an advertisement about another's address, or a redirect", isIPv6, expr.ICMPv6Type{First: 136, Last: 137}, spoofed),
		nft.Remarked("no pod is a router", isIPv6, message(134), spoofed),
		nft.RuleOf(isIPv6, from6, expr.Accept),
		nft.Remarked("without an address yet (RFC 4861)", isIPv6, nowhere, message(133), byMAC, expr.Accept),
		nft.Remarked("without an address yet (RFC 3590)", isIPv6, nowhere, message(143), byMAC, expr.Accept),
		nft.RuleOf(spoofed),
	}
}

func neighbourRules() []nft.Rule {
	return []nft.Rule{
		nft.RuleOf(isIPv6, from6, expr.Accept),
		nft.Remarked("does anyone have this address (RFC 4862)", isIPv6, nowhere, byMAC, expr.Accept),
		nft.RuleOf(spoofed),
	}
}

func unboundRules() []nft.Rule {
	return []nft.Rule{
		nft.RuleOf(isIPv4, expr.In(taken4Set, expr.Source4), spoofed),
		nft.RuleOf(isARP, expr.In(taken4Set, expr.ARPSenderIP), spoofed),
		nft.RuleOf(isIPv6, expr.In(taken6Set, expr.Source6), spoofed),
	}
}

// forwardRules judge what passes from port to port. The rules of IP judge it by its addresses, so it must reach
// whom it names: two pods that work together could agree on a frame for the one and an address that the
// other may reach.
func forwardRules() []nft.Rule {
	return []nft.Rule{
		nft.RuleOf(isIPv4, expr.In(reach4Set, expr.OutName, expr.Destination4), byPod, expr.Accept),
		nft.RuleOf(isIPv6, expr.In(reach6Set, expr.OutName, expr.Destination6), byPod, expr.Accept),
		nft.RuleOf(byPod, toVeth, expr.NotIn(othersSet, expr.OutName), expr.GoTo(arrivalChain)),
		nft.RuleOf(byPod, expr.Accept),
		nft.RuleOf(toPod, byVeth, expr.NotIn(othersSet, expr.InName), expr.GoTo(strangerChain)),
	}
}

// arrivalRules pass what finds neighbours.
func arrivalRules() []nft.Rule {
	return []nft.Rule{
		nft.RuleOf(isARP, expr.Accept),
		nft.RuleOf(isIPv6, discovery, expr.Accept),
		nft.RuleOf(expr.GoTo(deniedAstray)),
	}
}

// strangerRules pass what a pod that has just come says, so that its neighbours forget the one that had its
// address before. It may not be about an address that is bound: see unboundRules.
func strangerRules() []nft.Rule {
	return []nft.Rule{
		nft.RuleOf(isARP, expr.Accept),
		nft.Remarked("but no advertisement: what it is about nft 1.0.6 cannot look up", isIPv6, message(135), expr.Accept),
		nft.RuleOf(expr.GoTo(deniedUnbound)),
	}
}
