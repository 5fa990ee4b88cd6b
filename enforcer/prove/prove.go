// Package prove says whether a node's ruleset lets through exactly the connections that the policies allow, and
// names those about which the two differ.
//
// It asks about every connection that a router forwards with an end at a pod of the node, without trying each of
// them. Rules and policies compare addresses and ports with constants alone, so both say the same about all
// addresses between two constants, about all addresses of which the same is said, and about all ports between two
// constants. One of each is asked for: the ruleset's answer comes from package interpret, the policies' from package
// reach, and neither shares code with the compiler.
//
// It is about the first packet of a connection that comes by a link of no special kind: what protects the rules from
// packets with others' addresses, errors and tunnels is not part of it. The tests of the kernel are about that.
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
	// Addresses counts the addresses of pods and nodes that were told apart, Classes those that differ in what rules
	// or policies say of them, and Connections the questions that were asked.
	Addresses   int `json:"addresses"`
	Classes     int `json:"classes"`
	Connections int `json:"connections"`
	// Unknown counts the questions to which the policies have no answer.
	Unknown int `json:"unknown"`
	// Refused are the policies, as namespace/name and sorted, that ask for more than their budget: they isolate, and
	// allow nothing.
	Refused []string `json:"refused,omitempty"`
	// Differences are the first ones, MostDifferences at most.
	Differences []Difference `json:"differences"`
}

// MostDifferences bounds what a report lists.
const MostDifferences = 20

// Difference is a connection about which the ruleset and the policies differ, and with it those at all ports up to
// LastPort.
type Difference struct {
	From     netip.Addr      `json:"from"`
	To       netip.Addr      `json:"to"`
	Protocol corev1.Protocol `json:"protocol"`
	Port     uint16          `json:"port,omitempty"`
	LastPort uint16          `json:"lastPort,omitempty"`
	// Passes says that the ruleset lets it through, which the policies deny; otherwise it is the other way round.
	Passes bool `json:"passes"`
	// Staged says that it passes, and that the two differ about what staged policies would do.
	Staged bool `json:"staged,omitempty"`
	// Chain is where the ruleset decides, and Reason why the policies do.
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

// compare is Table for packets that find dynamic sets so. What these hold changes no verdict; the tests show it.
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
	p.stages = len(snapshot.Staged) > 0
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

// proof is a comparison under way.
type proof struct {
	rules    *interpret.Table
	forward  string
	policies *reach.Evaluator
	world    world
	report   Report
	// pointsOf are the ports at which policies of a pod change their mind, and named those that containers declare, by
	// address.
	pointsOf map[types.NamespacedName][]uint16
	named    map[string][]uint16
	asked    asked
	// stages says that there are staged policies: then all of a namespace matter to its pods.
	stages bool
}

// between compares what is said of connections from one class to another, and from a member of a class to itself.
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

// transports are the protocols that are asked about. The last ones stand for all without ports, of which no policy
// speaks.
var transports = []struct {
	name   corev1.Protocol
	number expr.Protocol
	ports  bool
}{
	{corev1.ProtocolTCP, expr.TCP, true}, {corev1.ProtocolUDP, expr.UDP, true}, {corev1.ProtocolSCTP, expr.SCTP, true},
	{"ICMP", expr.ICMP, false}, {"ICMPv6", expr.ICMPv6, false}, {"GRE", 47, false},
}

// connections compares what is said of all connections between two addresses.
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

// ask compares the answers about one port, and returns the last of those with the same answers.
func (p *proof) ask(f expr.Network, from, to netip.Addr, name corev1.Protocol, number expr.Protocol, port uint16, points []uint16) (uint16, error) {
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
	passes := result.Accepted && !slices.ContainsFunc(result.Counters, isDenial) // which a ruleset that only observes lets pass
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

// isAudit says whether a counter is of what staged policies would deny.
func isAudit(counter string) bool {
	audits := compile.Audits()
	return counter == audits[compile.Egress] || counter == audits[compile.Ingress]
}

// isDenial says whether a counter is of what is denied.
func isDenial(counter string) bool { return denials[counter] }

var denials = func() map[string]bool {
	out := map[string]bool{}
	for _, counter := range compile.Denials() {
		out[counter] = true
	}
	return out
}()

// points are the ports at which the policies may change their mind about connections between two addresses: where a
// range of the policies of either end begins or has ended, and at those that their containers name; sorted.
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
