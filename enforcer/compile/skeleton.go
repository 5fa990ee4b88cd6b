package compile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
)

// The table is ours alone: nothing outside of it is ever read or changed.
const (
	TableFamily = nft.Inet
	TableName   = "apptier"
)

// The stamp: the upper half of a connection's ct mark holds the generation of the ruleset that
// allowed it, 1 to MaxGeneration; 0 means not stamped. The lower half is left to others.
const (
	MarkMask       = 0xffff0000
	markShift      = 16
	MaxGeneration  = 0xffff
	generationText = "generation "
)

// Chains that are always there.
const (
	forwardChain   = "forward"
	judgeChain     = "judge"
	ingressChain   = "ingress"
	admitChain     = "admit"
	stampChain     = admitChain
	untrackedChain = "untracked"
)

// Chains that end in a drop, each with a counter of its own name.
const (
	deniedEgress    = "denied-egress"
	deniedIngress   = "denied-ingress"
	deniedUntracked = "denied-untracked"
	deniedUnknown   = "denied-unknown"
	deniedUndecided = "denied-undecided"
)

// denials says what each of them is for.
var denials = map[string]string{
	deniedEgress:    "no rule of the initiator's policies allows it",
	deniedIngress:   "no rule of the server's policies allows it",
	deniedUntracked: "an isolated pod, and no connection to judge it by",
	deniedUnknown:   "an address of this node's pods that no known pod has yet",
	deniedUndecided: "nothing allowed it, nor denied it: the rules changed half-way",
}

// Denials returns the names of the counters of packets that were dropped, by why they were.
func Denials() map[string]string {
	return map[string]string{"egress": deniedEgress, "ingress": deniedIngress, "untracked": deniedUntracked, "unknown_pod": deniedUnknown, "undecided": deniedUndecided}
}

type family int

const (
	anyFamily family = 0
	ipv4      family = 4
	ipv6      family = 6
)

var (
	families    = []family{ipv4, ipv6}
	addressType = map[family]string{ipv4: "ipv4_addr", ipv6: "ipv6_addr"}
	// initiator and server are the keys of a connection's two ends.
	initiator = map[family]string{ipv4: "ct original ip saddr", ipv6: "ct original ip6 saddr"}
	server    = map[family]string{ipv4: "ct reply ip saddr", ipv6: "ct reply ip6 saddr"}

	egressMap  = map[family]string{ipv4: "egress4", ipv6: "egress6"}
	ingressMap = map[family]string{ipv4: "ingress4", ipv6: "ingress6"}
	selfSet    = map[family]string{ipv4: "self4", ipv6: "self6"}
	nodeSet    = map[family]string{ipv4: "node4", ipv6: "node6"}
	rangeSet   = map[family]string{ipv4: "range4", ipv6: "range6"}
	knownSet   = map[family]string{ipv4: "known4", ipv6: "known6"}
)

// serverPort needs the protocol matched before it in the same rule: it is nft's way to know that
// the number is a port.
const serverPort = "ct reply proto-src"

// stamped returns the chains that bear the generation.
func stamped(generation uint16) map[string]nft.Chain {
	mark := uint32(generation) << markShift
	forward, admit := skeleton().Chains[forwardChain], skeleton().Chains[admitChain]
	forward.Rules = append([]nft.Rule{{
		Expr:    fmt.Sprintf("ct mark & 0x%08x == 0x%08x accept", uint32(MarkMask), mark),
		Comment: "allowed by this very ruleset before",
	}}, forward.Rules...)
	admit.Rules = []nft.Rule{{
		Expr:    fmt.Sprintf("ct mark set ct mark & 0x%08x | 0x%08x accept", ^uint32(MarkMask), mark),
		Comment: generationText + strconv.Itoa(int(generation)),
	}}
	return map[string]nft.Chain{forwardChain: forward, admitChain: admit}
}

// StampChain is the chain whose first rule's comment names the generation; see nft.Marker.
const StampChain = stampChain

// ParseGeneration reads the comment of the first rule of StampChain.
func ParseGeneration(marker string) (uint16, bool) {
	number, ok := strings.CutPrefix(marker, generationText)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(number, 10, 16)
	return uint16(n), err == nil && n > 0
}

// NextGeneration follows g; after the last comes the first, for 0 means not stamped.
func NextGeneration(g uint16) uint16 {
	if g == MaxGeneration {
		return 1
	}
	return g + 1
}

// skeleton is the part of the table that is the same on every node, all its sets still empty.
func skeleton() nft.Table {
	t := nft.Table{
		Family:   TableFamily,
		Name:     TableName,
		Comment:  "NetworkPolicy, written by the apptier enforcer",
		Sets:     map[string]nft.Set{},
		Counters: map[string]nft.Counter{},
	}
	for _, f := range families {
		ranges := set(addressType[f], "this node's pods, closed unless known")
		ranges.Interval = true
		t.Sets[rangeSet[f]] = ranges
		t.Sets[knownSet[f]] = set(addressType[f], "pods in this node's ranges")
		t.Sets[egressMap[f]] = verdicts(f, "pods of this node with isolated egress")
		t.Sets[ingressMap[f]] = verdicts(f, "pods of this node with isolated ingress")
		t.Sets[nodeSet[f]] = set(addressType[f], "this node")
		t.Sets[selfSet[f]] = set(nft.Key(addressType[f], addressType[f]), "isolated pods to themselves")
	}
	for name, s := range t.Sets {
		s.Elements = map[string]nft.Element{}
		t.Sets[name] = s
	}
	t.Chains = map[string]nft.Chain{
		forwardChain: {
			Base: &nft.Base{
				Hook: nft.ForwardHook, Priority: nft.FilterPriority, Policy: nft.AcceptPolicy,
			},
			Rules: forwardRules(),
		},
		judgeChain:     {Comment: "by the connection's initiator and server, whichever way the packet goes", Rules: judgeRules()},
		ingressChain:   {Comment: "egress is allowed, ingress remains", Rules: append(dispatchRules(server, ingressMap), goTo(admitChain))},
		admitChain:     {Comment: "allowed both ways"},
		untrackedChain: {Comment: "not part of a known connection", Rules: untrackedRules()},
	}
	for name, why := range denials {
		t.Chains[name] = nft.Chain{Comment: why, Rules: []nft.Rule{{Expr: "counter name " + name + " drop"}}}
		t.Counters[name] = nft.Counter{Comment: why}
	}
	return t
}

func verdicts(f family, comment string) nft.Set {
	return nft.Set{Key: addressType[f], Value: "verdict", Comment: comment}
}

func set(key, comment string) nft.Set {
	return nft.Set{Key: key, Comment: comment}
}

func forwardRules() []nft.Rule {
	return []nft.Rule{
		// Only a bridge forwards these; without them IPv6 finds no neighbour. Kernel:
		// conntrack leaves neighbour discovery untracked (nf_conntrack_proto_icmpv6.c). A router
		// takes one off the hop limit before this hook (ip6_forward), so what has all 255 never
		// leaves its link, and is no way out for an isolated pod (RFC 4861, section 7.1.1).
		{Expr: "icmpv6 type 133-136 ip6 hoplimit 255 accept", Comment: "neighbour discovery"},
		// An error belongs to the connection it is about: "fragmentation needed" and the like.
		{Expr: "meta l4proto icmp ct state related accept", Comment: "errors about allowed connections"},
		{Expr: "meta l4proto icmpv6 ct state related accept", Comment: "errors about allowed connections"},
		{Expr: "ct state invalid,untracked jump " + untrackedChain},
		{Expr: "jump " + judgeChain},
		goTo(deniedUndecided),
	}
}

func judgeRules() []nft.Rule {
	var rules []nft.Rule
	for _, f := range families {
		rules = append(rules,
			nft.Rule{Expr: fmt.Sprintf("%s . %s @%s goto %s", initiator[f], server[f], selfSet[f], admitChain)},
			nft.Rule{Expr: fmt.Sprintf("%s @%s goto %s", server[f], nodeSet[f], admitChain)},
			gateRule(f, initiator[f]), gateRule(f, server[f]))
	}
	rules = append(rules, dispatchRules(initiator, egressMap)...)
	rules = append(rules, dispatchRules(server, ingressMap)...)
	return append(rules, nft.Rule{Expr: "accept", Comment: "no policy is concerned"})
}

// gateRule closes an end of a connection as long as nobody knows which policies it is under.
func gateRule(f family, end string) nft.Rule {
	return nft.Rule{Expr: fmt.Sprintf("%s @%s %s != @%s goto %s", end, rangeSet[f], end, knownSet[f], deniedUnknown)}
}

func dispatchRules(key, maps map[family]string) []nft.Rule {
	var rules []nft.Rule
	for _, f := range families {
		rules = append(rules, nft.Rule{Expr: fmt.Sprintf("%s vmap @%s", key[f], maps[f])})
	}
	return rules
}

// untrackedRules judge packets without a connection, and so without a known initiator: an isolated
// pod neither sends nor gets them.
func untrackedRules() []nft.Rule {
	header := map[family]string{ipv4: "ip", ipv6: "ip6"}
	var rules []nft.Rule
	for _, f := range families {
		for _, end := range []string{header[f] + " saddr", header[f] + " daddr"} {
			for _, m := range []string{egressMap[f], ingressMap[f]} {
				rules = append(rules, nft.Rule{Expr: fmt.Sprintf("%s @%s goto %s", end, m, deniedUntracked)})
			}
			rules = append(rules, gateRule(f, end))
		}
	}
	return append(rules, nft.Rule{Expr: "accept", Comment: "no policy is concerned"})
}

func goTo(chain string) nft.Rule { return nft.Rule{Expr: "goto " + chain} }
