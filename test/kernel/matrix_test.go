package kernel

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/interpret"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// check compares every cell with what the reference evaluator says, and with what the interpreter of rules does.
func (l labNode) check(t lab.Tester, snapshot reach.Snapshot, ports []uint16) {
	t.Helper()
	snapshot.Seen = lab.NodeName
	evaluator := reach.New(snapshot)
	rules, err := interpret.New(l.Table(snapshot, 1))
	lab.Must(t, err)
	var cells []lab.Cell
	var allowed []bool
	for _, c := range l.cells(snapshot, ports) {
		if want := expected(evaluator, snapshot, c); want != reach.Unknown {
			cells = append(cells, c)
			allowed = append(allowed, want == reach.Allow)
			if c.From.Kind != lab.TheNode && c.To.Kind != lab.TheNode && interpreted(t, rules, c) != (want == reach.Allow) {
				t.Errorf("%s: the interpreter does not say that it is %v", c, want)
			}
		}
	}
	passed := l.Probe(t, cells, 150*time.Millisecond)
	var doubtful []int
	for i := range cells {
		if passed[i] != allowed[i] {
			doubtful = append(doubtful, i)
		}
	}
	// A busy machine may be late with an answer; a denied packet stays denied.
	for _, i := range doubtful {
		if passed[i] || !l.Probe(t, cells[i:i+1], 2*time.Second)[0] {
			t.Errorf("%s: passed %v, want %v\n%s", cells[i], passed[i], allowed[i], evaluator.Allowed(flow(snapshot, cells[i])))
		}
	}
	if t.Failed() {
		t.Logf("%s", l.Table(snapshot, 1))
	}
}

// interpreted says whether the interpreter lets the first packet of a cell pass.
func interpreted(t lab.Tester, rules *interpret.Table, c lab.Cell) bool {
	t.Helper()
	p := interpret.Packet{
		Network: expr.IPv4, Source: c.From.Address(c.V6), Destination: c.To.Address(c.V6), State: expr.New, Protocol: expr.ICMP,
		Initiator: interpret.Socket{Address: c.From.Address(c.V6)}, Server: interpret.Socket{Address: c.To.Address(c.V6), Port: c.Port},
		DestinationPort: c.Port, In: interpret.Link{Name: "by", Kind: "veth"}, Out: interpret.Link{Name: "to", Kind: "veth"},
	}
	switch c.Protocol {
	case corev1.ProtocolTCP:
		p.Protocol = expr.TCP
	case corev1.ProtocolUDP:
		p.Protocol = expr.UDP
	case corev1.ProtocolSCTP:
		p.Protocol = expr.SCTP
	}
	if c.V6 {
		p.Network = expr.IPv6
		if c.Protocol == lab.ICMP {
			p.Protocol = expr.ICMPv6
		}
	}
	result, err := rules.Run(compile.ForwardChain, p)
	lab.Must(t, err)
	return result.Accepted
}

// cells are all connections that pass the node, of the snapshot's pods and of one local pod that
// nobody knows yet.
func (l labNode) cells(snapshot reach.Snapshot, ports []uint16) []lab.Cell {
	used := map[string]bool{}
	for _, p := range snapshot.Pods {
		for _, ip := range append(p.Status.PodIPs, corev1.PodIP{IP: p.Status.PodIP}) {
			used[ip.IP] = true
		}
	}
	unknown := 0
	spare := map[string]bool{}
	for _, h := range l.Hosts {
		if h.Kind == lab.LocalPod && !used[h.V4.String()] && !used[h.V6.String()] {
			unknown++
			spare[h.Name] = unknown > 1
		}
	}
	idle := func(h lab.Host) bool {
		return spare[h.Name] || h.Kind == lab.RemotePod && !used[h.V4.String()] && !used[h.V6.String()]
	}
	var cells []lab.Cell
	for _, from := range l.Hosts {
		for _, to := range l.Hosts {
			if idle(from) || idle(to) || from.NS == to.NS || from.Kind != lab.LocalPod && to.Kind != lab.LocalPod {
				continue
			}
			for _, v6 := range []bool{false, true} {
				cells = append(cells, lab.Cell{From: from, To: to, V6: v6, Protocol: lab.ICMP})
				for _, port := range ports {
					for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
						cells = append(cells, lab.Cell{From: from, To: to, V6: v6, Protocol: protocol, Port: port})
					}
				}
			}
		}
	}
	return cells
}

// expected is the verdict of this node alone: a remote pod's own policies are for its own node. For
// the evaluator an address that no pod has is one like any other; here it is closed.
func expected(evaluator *reach.Evaluator, snapshot reach.Snapshot, c lab.Cell) reach.Verdict {
	if c.From.Kind == lab.TheNode || c.To.Kind == lab.TheNode { // what is not forwarded is not judged
		return reach.Allow
	}
	result := evaluator.Allowed(flow(snapshot, c))
	if isNodes(snapshot, c.From.Address(c.V6)) {
		// Its node's own packets reach a pod, and are not forwarded. What is forwarded from an address that the Node object
		// claims is from somebody else, and is judged like anybody's.
		result = reach.New(withoutNodes(snapshot)).Allowed(flow(snapshot, c))
	}
	if isClosed(snapshot, c.From, c.V6) || isClosed(snapshot, c.To, c.V6) {
		return reach.Deny
	}
	fromHere, toHere := isClaimed(snapshot, c.From, c.V6, lab.NodeName), isClaimed(snapshot, c.To, c.V6, lab.NodeName)
	switch {
	case fromHere && toHere:
		return result.Verdict
	case fromHere:
		return result.Egress.Verdict
	case toHere:
		return result.Ingress.Verdict
	default:
		return reach.Allow
	}
}

// isNodes tells whether this node's object claims an address.
func isNodes(snapshot reach.Snapshot, address netip.Addr) bool {
	return slices.ContainsFunc(snapshot.Nodes, func(n *corev1.Node) bool {
		return n.Name == lab.NodeName && slices.ContainsFunc(n.Status.Addresses, func(a corev1.NodeAddress) bool { return a.Address == address.String() })
	})
}

// withoutNodes is a snapshot of which nobody knows the nodes' addresses.
func withoutNodes(snapshot reach.Snapshot) reach.Snapshot {
	snapshot.Nodes = slices.Clone(snapshot.Nodes)
	for i, n := range snapshot.Nodes {
		snapshot.Nodes[i] = n.DeepCopy()
		snapshot.Nodes[i].Status.Addresses = nil
	}
	return snapshot
}

// isClosed tells whether an address belongs to the node's ranges and to no pod.
func isClosed(snapshot reach.Snapshot, h lab.Host, v6 bool) bool {
	if isClaimed(snapshot, h, v6, "") {
		return false
	}
	for _, n := range snapshot.Nodes {
		for _, text := range n.Spec.PodCIDRs {
			if n.Name == lab.NodeName && netip.MustParsePrefix(text).Contains(h.Address(v6)) {
				return true
			}
		}
	}
	return false
}

// isClaimed tells whether a pod has an address: one of a node, or of any.
func isClaimed(snapshot reach.Snapshot, h lab.Host, v6 bool, node string) bool {
	return slices.ContainsFunc(snapshot.Pods, func(p *corev1.Pod) bool {
		if p.Spec.HostNetwork || reach.Finished(p) || node != "" && p.Spec.NodeName != node {
			return false
		}
		return slices.ContainsFunc(append(p.Status.PodIPs, corev1.PodIP{IP: p.Status.PodIP}), func(ip corev1.PodIP) bool {
			return ip.IP == h.Address(v6).String()
		})
	})
}

func flow(snapshot reach.Snapshot, c lab.Cell) reach.Flow {
	end := func(h lab.Host) reach.Endpoint { return reach.Endpoint{Address: h.Address(c.V6)} }
	return reach.Flow{Source: end(c.From), Destination: end(c.To), Protocol: c.Protocol, Port: int32(c.Port)}
}
