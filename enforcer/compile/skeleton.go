package compile

import (
	"net/netip"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

// skeleton is the part of the table that is the same on every node, all its sets still empty.
func skeleton(o shape) nft.Table {
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
		t.Sets[stagedEgress[f]] = verdicts(f, "pods of this node with staged egress")
		t.Sets[stagedIngress[f]] = verdicts(f, "pods of this node with staged ingress")
		t.Sets[nodeSet[f]] = set(addressType[f], "this node")
		t.Sets[selfSet[f]] = set(nft.Key(addressType[f], addressType[f]), "pods of this node to themselves")
	}
	t.Sets[uplinkSet] = set("ifname", "interfaces that lead out of the node")
	t.Sets[bridgeSet] = set("ifname", "bridges that pods are on")
	t.Sets[tunnelSet] = set("inet_service", "where nodes take packets out of packets")
	for name, s := range t.Sets {
		s.Elements = map[string]nft.Element{}
		t.Sets[name] = s
	}
	for _, f := range families {
		t.Sets[unroutableSet[f]] = constant(f, "addresses that only a bridge passes on", unroutable[f]...)
	}
	t.Sets[portedSet] = nft.Set{
		Key: expr.InetProtocol.String(), Comment: "protocols that have ports",
		Elements: map[string]nft.Element{expr.TCP.String(): {}, expr.UDP.String(): {}, expr.SCTP.String(): {}},
	}
	t.Sets[linkLocalSet] = constant(ipv4, "addresses that only the node is asked for", "169.254.0.0/16")
	t.Chains = map[string]nft.Chain{
		sourceChain: {
			Base:  &nft.Base{Hook: nft.PreroutingHook, Priority: nft.RawPriority, Policy: nft.AcceptPolicy},
			Rules: sourceRules(),
		},
		strangeChain:    {Comment: "from pods, and an address that is not routed to them", Rules: strangeRules()},
		forwardChain:    forwardOf(o),
		judgeChain:      {Comment: "by the connection's initiator and server, whichever way the packet goes", Rules: judgeRules(o, false)},
		ingressChain:    {Comment: "egress is allowed, ingress remains", Rules: append(dispatchRules(server, ingressMap), nft.RuleOf(expr.GoTo(admitChain)))},
		admitChain:      admit(),
		unroutableChain: {Comment: "a bridge passes it on, and no router would", Rules: unroutableRules()},
		untrackedChain:  {Comment: "not part of a known connection", Rules: untrackedRules()},
		inputChain: {
			Base:  &nft.Base{Hook: nft.InputHook, Priority: nft.FilterPriority, Policy: nft.AcceptPolicy},
			Rules: inputRules(),
		},
		tunnelChain:   {Comment: "packets in packets, which nodes alone send each other", Rules: tunnelRules()},
		errorChain:    {Comment: "ICMP errors, each about a connection", Rules: errorRules()},
		podErrorChain: {Comment: "of a pod, which has none but its own connections", Rules: podErrorRules()},
	}
	t.Chains[auditChain] = nft.Chain{Comment: "allowed, and perhaps not by staged policies", Rules: auditRules()}
	t.Chains[auditIngressChain] = nft.Chain{Comment: "staged egress allows it, staged ingress remains", Rules: dispatchRules(server, stagedIngress)}
	t.Chains[auditedChain] = nft.Chain{Comment: "staged policies allow it too"}
	t.Chains[recordedChain] = nft.Chain{Comment: "was recorded, and passes"}
	for _, r := range records(o) {
		why := denials[r.chain] + audits[r.chain]
		t.Counters[r.chain] = nft.Counter{Comment: why}
		r.addTo(&t, why, nft.RuleOf(expr.Counter{Name: r.chain}))
	}
	if o.allowed {
		allowedRecord().addTo(&t, "a new connection that passes")
	}
	return t
}

// priority is when forwarded packets are looked at: after those are translated that go to Services, and of what only
// observes, before others drop any.
func (o shape) priority() nft.Priority {
	if o.observe {
		return nft.ManglePriority
	}
	return nft.FilterPriority
}

func verdicts(f family, comment string) nft.Set {
	return nft.Set{Key: addressType[f], Value: "verdict", Comment: comment}
}

// constant is a set of ranges that are always the same.
func constant(f family, comment string, ranges ...string) nft.Set {
	s := set(addressType[f], comment)
	s.Interval, s.Elements = true, map[string]nft.Element{}
	for _, r := range ranges {
		s.Elements[spanOf(netip.MustParsePrefix(r)).String()] = nft.Element{}
	}
	return s
}

func set(key, comment string) nft.Set {
	return nft.Set{Key: key, Comment: comment}
}

// sourceRules look at every packet of a pod's interface, before there is a connection of it: who takes
// another's address takes part in the other's connections, which may be stamped. Packets that the node
// routes are from a pod's address if that is routed to the interface that they come by (RFC 3704, strict
// reverse path): the network plugin makes this route together with the interface, and a pod cannot change
// it. On a bridge this tells the addresses of its pods from all others; which of them a port may use, a table
// of bridges says (package bind).
func sourceRules() []nft.Rule {
	strange := expr.GoTo(strangeChain)
	return []nft.Rule{
		nft.Remarked("of a pod, and not from its address", from(vethKind), expr.RouteMissing{}, strange),
		// The kind first: it is compared, where a name is looked up, and most packets here are by the other kind.
		nft.Remarked("of a pod on a bridge, and from no address there", from(bridgeKind), expr.In(bridgeSet, expr.InName), expr.RouteMissing{}, strange),
	}
}

// strangeRules let pass what comes from outside of the node, which may be by an interface of the same
// kind (a node that is a container itself), and may well be routed back by another one.
func strangeRules() []nft.Rule {
	return []nft.Rule{nft.RuleOf(expr.In(uplinkSet, expr.InName), expr.Accept), nft.RuleOf(expr.GoTo(deniedSpoofed))}
}

// toJudge is the rule of the forward chain that has a packet judged.
var toJudge = nft.RuleOf(expr.Jump(judgeChain))

func admit() nft.Chain { return nft.Chain{Comment: "allowed both ways"} }

func forwardOf(o shape) nft.Chain {
	return nft.Chain{
		Base:  &nft.Base{Hook: nft.ForwardHook, Priority: o.priority(), Policy: nft.AcceptPolicy},
		Rules: forwardRules(o),
	}
}

func forwardRules(o shape) []nft.Rule {
	var rules []nft.Rule
	if o.observe {
		rules = append(rules, nft.Remarked("was looked at when it began", expr.Established, expr.Accept))
	}
	return append(rules,
		nft.RuleOf(expr.Invalid|expr.Untracked, expr.Jump(untrackedChain)),
		nft.RuleOf(expr.Related, expr.Of(expr.ICMP), expr.Jump(errorChain)),
		nft.RuleOf(expr.Related, expr.Of(expr.ICMPv6), expr.Jump(errorChain)),
		nft.Remarked("to another node's, as far as is known", expr.In(tunnelSet, expr.UDPDestination), expr.In(uplinkSet, expr.OutName), expr.Jump(tunnelChain)),
		toJudge,
		nft.RuleOf(expr.GoTo(deniedUndecided)),
	)
}

func inputRules() []nft.Rule {
	return []nft.Rule{
		nft.RuleOf(expr.In(tunnelSet, expr.UDPDestination), expr.Jump(tunnelChain)),
		// Nodes that are told to send it on (seg6_enabled, rpl_seg_enabled) do that after this hook, and it is still part of
		// its connection with the node, whomever it goes to (ipv6_rthdr_rcv).
		nft.Remarked("the sender says by what way it goes on from here", expr.RoutingHeader{}, expr.GoTo(deniedUnroutable)),
	}
}

// tunnelRules keep pods out of the tunnels between nodes. A node takes the packet out, whoever sent it, and
// routes it: it has left the pod as one to a node, which is always allowed, and arrives with any source. All nodes
// have the same ports, as a network plugin sets them. Nor does a node send by a tunnel what is for one: a pod of another
// node does, to an address that its node reaches that way.
func tunnelRules() []nft.Rule {
	var rules []nft.Rule
	for _, kind := range []string{vethKind, bridgeKind} {
		rules = append(rules, nft.RuleOf(from(kind), expr.NotIn(uplinkSet, expr.InName), expr.GoTo(deniedSpoofed)))
	}
	for _, kind := range []string{"vxlan", "geneve"} {
		rules = append(rules, nft.RuleOf(from(kind), expr.GoTo(deniedSpoofed)))
	}
	return rules
}

// errorRules look at who sends an error. It is related to the connection that it is about, whose mark and
// addresses it has (nf_conntrack_inet_error): "fragmentation needed" and the like pass if that connection does. That
// tells whom an error is for, but anybody may have sent it. Routers do, by other links than those of pods.
func errorRules() []nft.Rule {
	var rules []nft.Rule
	for _, kind := range []string{vethKind, bridgeKind} {
		rules = append(rules, nft.RuleOf(from(kind), expr.NotIn(uplinkSet, expr.InName), expr.GoTo(podErrorChain)))
	}
	return rules
}

// podErrorRules drop what a pod says about connections that it is no end of.
func podErrorRules() []nft.Rule {
	var rules []nft.Rule
	for _, f := range families {
		rules = append(rules, nft.RuleOf(expr.NotIn(selfSet[f], sender[f], initiator[f]), expr.NotIn(selfSet[f], sender[f], server[f]), expr.GoTo(deniedSpoofed)))
	}
	return rules
}

// unconcerned lets pass what nothing before it is about.
var unconcerned = nft.Remarked("no policy is concerned", expr.Accept)

// judgeRules have what no policy isolates stamped too where there are staged policies, so that it is counted once.
func judgeRules(o shape, staged bool) []nft.Rule {
	rules := []nft.Rule{
		betweenPods(),
		// Its connection is one with the node, until the router rewrites the destination after this hook
		// (ip_options_rcv_srr, ip_forward_options). Nodes seldom do: accept_source_route.
		nft.Remarked("the sender says by what way it goes on from here", expr.Options{}, expr.ToKind{Kind: expr.Local}, expr.GoTo(deniedUnroutable)),
	}
	for _, f := range families {
		rules = append(rules,
			nft.RuleOf(expr.In(selfSet[f], initiator[f], server[f]), expr.GoTo(admitChain)),
			gateRule(f, initiator[f]), // before what goes to the node: who is not known yet reaches nobody
			nft.RuleOf(expr.In(nodeSet[f], server[f]), expr.GoTo(admitChain)),
			gateRule(f, server[f]))
	}
	rules = append(rules, dispatchRules(initiator, egressMap)...)
	rules = append(rules, dispatchRules(server, ingressMap)...)
	for _, f := range families {
		if staged {
			rules = append(rules,
				nft.RuleOf(expr.In(stagedEgress[f], initiator[f]), expr.GoTo(admitChain)),
				nft.RuleOf(expr.In(stagedIngress[f], server[f]), expr.GoTo(admitChain)))
		}
	}
	if o.allowed {
		rules = append(rules, toAllowed)
	}
	return append(rules, unconcerned)
}

// toAllowed has a connection recorded that passes, once: no packet that a stamp lets through gets here.
var toAllowed = nft.RuleOf(expr.New, expr.Jump(allowedChain))

// auditRules look up the staged policies of both ends. A pod reaches itself and its node whatever they say.
func auditRules() []nft.Rule {
	var rules []nft.Rule
	for _, f := range families {
		rules = append(rules,
			nft.RuleOf(expr.In(selfSet[f], initiator[f], server[f]), expr.GoTo(auditedChain)),
			nft.RuleOf(expr.In(nodeSet[f], server[f]), expr.GoTo(auditedChain)))
	}
	rules = append(rules, dispatchRules(initiator, stagedEgress)...)
	return append(rules, dispatchRules(server, stagedIngress)...)
}

// unroutable are addresses that no router forwards: of nobody yet, of the own host, of everybody on a link
// or of a group, and those that are good on one link alone (RFC 1812, section 5.3.7; RFC 4291, section 2.5;
// IPv4-mapped ones are in no packet). Only a bridge passes them on. No pod is known by any of them, so no
// policy judges who sends to them, or from them.
//
// IPv4's link-local addresses are not among them: pods use those of the node's DNS cache and of clouds' metadata
// by way of the node.
var unroutable = map[family][]string{
	ipv4: {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32"},
	ipv6: {"::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"},
}

// betweenPods has packets from bridge to bridge looked at, and costs others a glance: a router forwards none of those
// (ip_route_input_slow, ip6_forward) but those to groups, where it is one of groups, and these are judged by who
// sends them.
func betweenPods() nft.Rule {
	return nft.Remarked("what no router forwards", from(bridgeKind), expr.LinkKind{Out: true, Kind: bridgeKind}, expr.Jump(unroutableChain))
}

func unroutableRules() []nft.Rule {
	var rules []nft.Rule
	for _, f := range families {
		for _, end := range ends(f) {
			rules = append(rules, nft.RuleOf(expr.In(unroutableSet[f], end), expr.GoTo(deniedUnroutable)))
		}
	}
	return append(rules,
		nft.Remarked("of a bridge's own range", expr.NotIn(knownSet[ipv4], expr.Destination4), expr.ToKind{Kind: expr.Broadcast}, expr.GoTo(deniedUnroutable)),
		nft.Remarked("from pod to pod", expr.In(linkLocalSet, expr.Destination4), expr.GoTo(deniedUnroutable)))
}

// ends are a packet's two addresses.
func ends(f family) []expr.Field { return []expr.Field{sender[f], receiver[f]} }

// gateRule closes an end of a connection as long as nobody knows which policies it is under.
func gateRule(f family, end expr.Field) nft.Rule {
	return nft.RuleOf(expr.In(rangeSet[f], end), expr.NotIn(knownSet[f], end), expr.GoTo(deniedUnknown))
}

func dispatchRules(end map[family]expr.Field, maps map[family]string) []nft.Rule {
	var rules []nft.Rule
	for _, f := range families {
		rules = append(rules, nft.RuleOf(expr.By(maps[f], end[f])))
	}
	return rules
}

// untrackedRules judge packets without a connection, and so without a known initiator: an isolated
// pod neither sends nor gets them.
func untrackedRules() []nft.Rule {
	rules := append(discoveryRules(), betweenPods())
	for _, f := range families {
		for _, end := range ends(f) {
			for _, m := range []string{egressMap[f], ingressMap[f]} {
				rules = append(rules, nft.RuleOf(expr.In(m, end), expr.GoTo(deniedUntracked)))
			}
			rules = append(rules, gateRule(f, end))
		}
	}
	return append(rules, unconcerned)
}

// discoveryRules let pods of a bridge find each other by IPv6, and no more than that. Conntrack leaves
// neighbour discovery untracked, and holds redirects invalid (nf_conntrack_proto_icmpv6.c).
func discoveryRules() []nft.Rule {
	return []nft.Rule{
		// A router takes one off the hop limit before this hook (ip6_forward), so what has all 255 never
		// leaves its link, and is no way out for an isolated pod (RFC 4861, section 7.1.1).
		nft.Remarked("solicitations and advertisements of neighbours", expr.ICMPv6Type{First: 135, Last: 136}, expr.HopLimit{Hops: 255}, expr.Accept),
		// The node is the router of its pods, and none of them is: one that says so makes itself others' way out.
		nft.Remarked("of routers", expr.ICMPv6Type{First: 133, Last: 134}, expr.GoTo(deniedUnroutable)),
		nft.Remarked("redirects", expr.ICMPv6Type{First: 137, Last: 137}, expr.GoTo(deniedUnroutable)),
	}
}

// from matches packets that come by a link of a kind.
func from(kind string) expr.LinkKind { return expr.LinkKind{Kind: kind} }
