// Package prove says whether a node's ruleset lets through exactly the connections that the policies allow, and
// names the connections about which the two differ.
//
// It covers every connection that a router forwards and that has an end at a pod of the node, without trying each of
// them. Rules and policies only compare addresses and ports with constants. So they treat all addresses between two
// constants alike, all addresses that are in the same sets and blocks, and all ports between two constants. One of each
// is tried: package interpret answers for the ruleset, package reach for the policies, and neither shares code with the
// compiler.
//
// It covers the first packet of a connection over an ordinary link. It does not cover the protection from packets with
// the addresses of others, from errors and from tunnels: the kernel tests do.
package prove

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/interpret"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// Report is what was found.
type Report struct {
	// Addresses counts the addresses of pods and nodes that were distinguished, Classes the sets of addresses that rules
	// or policies treat differently, and Connections the questions that were asked.
	Addresses   int `json:"addresses"`
	Classes     int `json:"classes"`
	Connections int `json:"connections"`
	// Unknown counts the questions that the policies do not answer.
	Unknown int `json:"unknown"`
	// Refused are the policies above their budget, as namespace/name and sorted: they isolate, and allow nothing.
	Refused []string `json:"refused,omitempty"`
	// Differences are the first differences, at most MostDifferences.
	Differences []Difference `json:"differences"`
}

// MostDifferences limits the differences that a report lists.
const MostDifferences = 20

// Difference is a connection about which the ruleset and the policies differ, on all ports up to LastPort.
type Difference struct {
	From     netip.Addr      `json:"from"`
	To       netip.Addr      `json:"to"`
	Protocol corev1.Protocol `json:"protocol"`
	Port     uint16          `json:"port,omitempty"`
	LastPort uint16          `json:"lastPort,omitempty"`
	// Passes says that the ruleset lets it through and the policies deny it; otherwise it is the opposite.
	Passes bool `json:"passes"`
	// Staged says that it passes, and that the two differ about the staged policies.
	Staged bool `json:"staged,omitempty"`
	// Chain is where the ruleset decides, and Reason why the policies decide as they do.
	Chain  string `json:"chain"`
	Reason string `json:"reason"`
}

// String is the difference as a sentence.
func (d Difference) String() string {
	where := fmt.Sprintf("%s → %s %s", d.From, d.To, d.Protocol)
	if d.Port > 0 {
		where += fmt.Sprintf(" %d-%d", d.Port, d.LastPort)
	}
	switch {
	case d.Staged:
		return fmt.Sprintf("%s passes by chain %s, and what staged policies would do is counted as something else: %s", where, d.Chain, d.Reason)
	case d.Passes:
		return fmt.Sprintf("%s passes by chain %s, and is denied: %s", where, d.Chain, d.Reason)
	}
	return fmt.Sprintf("%s is dropped by chain %s, and allowed: %s", where, d.Chain, d.Reason)
}

// Table compares a table of the enforcer, whose base chain is forward, with the policies of a snapshot as the node of
// this name sees it. Its error says that the table cannot be read, or that the context ended.
func Table(ctx context.Context, table nft.Table, forward string, snapshot reach.Snapshot, node string) (Report, error) {
	return compare(ctx, table, forward, snapshot, node, interpret.Empty)
}

// compare is Table with these contents of dynamic sets. The contents change no verdict; the tests show it.
func compare(
	ctx context.Context, table nft.Table, forward string, snapshot reach.Snapshot, node string, dynamic interpret.Dynamic,
) (Report, error) {
	rules, err := interpret.New(table)
	if err != nil {
		return Report{}, fmt.Errorf("reading the ruleset: %w", err)
	}
	rules.Dynamic = dynamic
	snapshot.Seen = node
	p := proof{
		rules: rules, forward: forward, policies: reach.New(snapshot), world: worldOf(snapshot, node),
		report: Report{Differences: []Difference{}}, pointsOf: map[types.NamespacedName][]uint16{}, named: map[string][]uint16{},
	}
	p.stages, p.observes = len(snapshot.Staged) > 0, compile.ObservesOnly(table)
	p.index(snapshot)
	for _, f := range []expr.Network{expr.IPv4, expr.IPv6} {
		classes := p.classes(f, table, snapshot)
		p.report.Classes += len(classes)
		for _, from := range classes {
			if err := ctx.Err(); err != nil {
				return p.report, fmt.Errorf("comparing the ruleset with the policies: %w", err)
			}
			for _, to := range classes {
				if err := p.between(f, from, to); err != nil {
					return p.report, fmt.Errorf("asking the ruleset: %w", err)
				}
			}
		}
	}
	return p.report, nil
}

// proof is a comparison that runs.
type proof struct {
	rules    *interpret.Table
	forward  string
	policies *reach.Evaluator
	world    world
	report   Report
	// pointsOf are the ports at which the verdict of a pod's policies may change, and named the ports that containers
	// declare, by address.
	pointsOf map[types.NamespacedName][]uint16
	named    map[string][]uint16
	asked    asked
	// stages says that there are staged policies: then all policies of a namespace matter to its pods.
	stages bool
	// observes says that the ruleset drops nothing, and counts what it would drop.
	observes bool
}

// between compares connections from one class to another, and from a member of a class to itself.
func (p *proof) between(f expr.Network, from, to class) error {
	pairs := [][2]netip.Addr{{from.members[0], to.members[0]}}
	if from.id == to.id && len(from.members) > 1 {
		pairs = append(pairs, [2]netip.Addr{from.members[0], from.members[1]})
	}
	for _, pair := range pairs {
		if !p.world.isForwarded(pair[0], pair[1]) {
			continue
		}
		if err := p.connections(f, pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// transports are the protocols to try. The last ones represent all protocols without ports, which policies cannot name.
var transports = []struct {
	name   corev1.Protocol
	number expr.Protocol
	ports  bool
}{
	{corev1.ProtocolTCP, expr.TCP, true}, {corev1.ProtocolUDP, expr.UDP, true}, {corev1.ProtocolSCTP, expr.SCTP, true},
	{"ICMP", expr.ICMP, false}, {"ICMPv6", expr.ICMPv6, false}, {"GRE", 47, false},
}

// connections compares all connections between two addresses.
func (p *proof) connections(f expr.Network, from, to netip.Addr) error {
	points := p.points(from, to)
	for _, transport := range transports {
		if transport.number == expr.ICMP && f == expr.IPv6 || transport.number == expr.ICMPv6 && f == expr.IPv4 {
			continue
		}
		for port := 1; port <= 65535; {
			last, err := p.ask(f, from, to, transport.name, transport.number, uint16(port), points)
			if err != nil {
				return err
			}
			if port = int(last) + 1; !transport.ports {
				break
			}
		}
	}
	return nil
}

// ask compares the answers about one port, and returns the last port with the same answers.
func (p *proof) ask(f expr.Network, from, to netip.Addr, name corev1.Protocol, number expr.Protocol,
	port uint16, points []uint16) (uint16, error) {
	p.report.Connections++
	result, err := p.rules.Run(p.forward, interpret.Packet{
		Network: f, Source: from, Destination: to, Protocol: number, State: expr.New,
		Initiator: interpret.Socket{Address: from, Port: 40000}, Server: interpret.Socket{Address: to, Port: port},
		SourcePort: 40000, DestinationPort: port,
	})
	if err != nil {
		return 0, err
	}
	last := result.ServerPorts.Last
	if i, _ := slices.BinarySearch(points, port+1); i < len(points) && port < 65535 {
		last = min(last, points[i]-1)
	}
	flow := reach.Flow{Source: reach.Endpoint{Address: from}, Destination: reach.Endpoint{Address: to}, Protocol: name, Port: int32(port)}
	verdict, reason := p.world.expected(p.policies, flow)
	passes := result.Accepted
	if p.observes { // and lets what it counts pass
		passes = passes && !slices.ContainsFunc(result.Counters, isDenial)
	}
	differs, staged := passes != (verdict == reach.Allow), false
	if verdict == reach.Allow && !differs {
		audited := slices.ContainsFunc(result.Counters, isAudit)
		if p.stages {
			verdict, reason = p.world.expectedStaged(p.policies, flow)
		}
		differs, staged = audited != (verdict == reach.Deny), true
	}
	switch {
	case verdict == reach.Unknown:
		p.report.Unknown++
	case differs && len(p.report.Differences) < MostDifferences:
		d := Difference{From: from, To: to, Protocol: name, Passes: passes, Staged: staged, Chain: result.Chain, Reason: reason}
		if name == corev1.ProtocolTCP || name == corev1.ProtocolUDP || name == corev1.ProtocolSCTP {
			d.Port, d.LastPort = port, last
		}
		p.report.Differences = append(p.report.Differences, d)
	}
	return last, nil
}

// isAudit says whether a counter counts what staged policies would deny.
func isAudit(counter string) bool {
	audits := compile.Audits()
	return counter == audits[compile.Egress] || counter == audits[compile.Ingress]
}

// isDenial says whether a counter counts denials.
func isDenial(counter string) bool { return denials[counter] }

var denials = func() map[string]bool {
	out := map[string]bool{}
	for _, counter := range compile.Denials() {
		out[counter] = true
	}
	return out
}()

// points are the ports at which the verdict about connections between two addresses may change, sorted: where a range
// of the policies of either end begins, the first port after it, and the ports that their containers name.
func (p *proof) points(from, to netip.Addr) []uint16 {
	var points []uint16
	for _, a := range []netip.Addr{from, to} {
		for _, pod := range p.world.claimants[a] {
			points = append(points, p.pointsOf[kube.NameOf(pod)]...)
		}
		points = append(points, p.named[a.String()]...)
	}
	slices.Sort(points)
	return slices.Compact(points)
}

func compareNames(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
