package kernel

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/network"
)

// table is what the node enforces.
func (l *lab) table(snapshot reach.Snapshot, generation uint16) nft.Table {
	c := compile.New(nodeName)
	if l.mergeAbove > 0 {
		c.MergeAbove(l.mergeAbove)
	}
	c.Tell(snapshot)
	return c.Ruleset().Table(generation)
}

// load puts a snapshot's ruleset into the node's kernel.
func (l *lab) load(t tester, snapshot reach.Snapshot, generation uint16) nft.Table {
	t.Helper()
	table := l.table(snapshot, generation)
	l.apply(t, nft.Replace(table))
	return table
}

func (l *lab) apply(t tester, ops []nft.Op) {
	t.Helper()
	must(t, network.In(l.node, func() error {
		kernel, err := nft.Open(compile.TableFamily, compile.TableName)
		if err != nil {
			return err
		}
		return nft.Apply(context.Background(), kernel, ops)
	}))
}

// change applies the difference between what the kernel holds and a snapshot's ruleset.
func (l *lab) change(t tester, before nft.Table, snapshot reach.Snapshot, generation uint16) nft.Table {
	t.Helper()
	after := l.table(snapshot, generation)
	l.apply(t, nft.Diff(before, after))
	return after
}

// nft loads a script into the node.
func (l *lab) nft(t *testing.T, script string) {
	t.Helper()
	must(t, network.In(l.node, func() error {
		cmd := exec.CommandContext(context.Background(), "nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}))
}

// tester is what tests and rapid's checks have in common.
type tester interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Failed() bool
}

// check compares every cell with what the reference evaluator says.
func (l *lab) check(t tester, snapshot reach.Snapshot, ports []uint16) {
	t.Helper()
	evaluator := reach.New(snapshot)
	var cells []cell
	var allowed []bool
	for _, c := range l.cells(snapshot, ports) {
		if want := expected(evaluator, snapshot, c); want != reach.Unknown {
			cells = append(cells, c)
			allowed = append(allowed, want == reach.Allow)
		}
	}
	passed := l.probe(t, cells, 150*time.Millisecond)
	var doubtful []int
	for i := range cells {
		if passed[i] != allowed[i] {
			doubtful = append(doubtful, i)
		}
	}
	// A busy machine may be late with an answer; a denied packet stays denied.
	for _, i := range doubtful {
		if passed[i] || !l.probe(t, cells[i:i+1], 2*time.Second)[0] {
			t.Errorf("%s: passed %v, want %v\n%s", cells[i], passed[i], allowed[i], evaluator.Allowed(flow(snapshot, cells[i])))
		}
	}
	if t.Failed() {
		t.Logf("%s", l.table(snapshot, 1))
	}
}

// cells are all connections that pass the node, of the snapshot's pods and of one local pod that
// nobody knows yet.
func (l *lab) cells(snapshot reach.Snapshot, ports []uint16) []cell {
	used := map[string]bool{}
	for _, p := range snapshot.Pods {
		for _, ip := range append(p.Status.PodIPs, corev1.PodIP{IP: p.Status.PodIP}) {
			used[ip.IP] = true
		}
	}
	unknown := 0
	spare := map[string]bool{}
	for _, h := range l.hosts {
		if h.kind == localPod && !used[h.v4.String()] && !used[h.v6.String()] {
			unknown++
			spare[h.name] = unknown > 1
		}
	}
	idle := func(h host) bool {
		return spare[h.name] || h.kind == remotePod && !used[h.v4.String()] && !used[h.v6.String()]
	}
	var cells []cell
	for _, from := range l.hosts {
		for _, to := range l.hosts {
			if idle(from) || idle(to) || from.ns == to.ns || from.kind != localPod && to.kind != localPod {
				continue
			}
			for _, v6 := range []bool{false, true} {
				cells = append(cells, cell{from, to, v6, protocolICMP, 0})
				for _, port := range ports {
					for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
						cells = append(cells, cell{from, to, v6, protocol, port})
					}
				}
			}
		}
	}
	return cells
}

// expected is the verdict of this node alone: a remote pod's own policies are for its own node. For
// the evaluator an address that no pod has is one like any other; here it is closed.
func expected(evaluator *reach.Evaluator, snapshot reach.Snapshot, c cell) reach.Verdict {
	result := evaluator.Allowed(flow(snapshot, c))
	if c.from.kind != theNode && c.to.kind != theNode && (isClosed(snapshot, c.from, c.v6) || isClosed(snapshot, c.to, c.v6)) {
		return reach.Deny
	}
	switch {
	case c.from.kind == localPod && c.to.kind == localPod:
		return result.Verdict
	case c.from.kind == localPod:
		return result.Egress.Verdict
	default:
		return result.Ingress.Verdict
	}
}

// isClosed tells whether an address belongs to the node's ranges and to no pod.
func isClosed(snapshot reach.Snapshot, h host, v6 bool) bool {
	for _, p := range snapshot.Pods {
		if p.Spec.HostNetwork || reach.Finished(p) {
			continue
		}
		for _, ip := range append(p.Status.PodIPs, corev1.PodIP{IP: p.Status.PodIP}) {
			if ip.IP == h.address(v6).String() {
				return false
			}
		}
	}
	return range4.Contains(h.address(v6)) || range6.Contains(h.address(v6))
}

func flow(snapshot reach.Snapshot, c cell) reach.Flow {
	end := func(h host) reach.Endpoint { return reach.Endpoint{Address: h.address(c.v6)} }
	return reach.Flow{Source: end(c.from), Destination: end(c.to), Protocol: c.protocol, Port: int32(c.port)}
}

// pod makes the object of the i-th host, running.
func pod(h host, namespace string, labels map[string]string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: h.name, Labels: labels},
		Spec:       corev1.PodSpec{NodeName: "node-1"},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: h.v4.String(),
			PodIPs: []corev1.PodIP{{IP: h.v4.String()}, {IP: h.v6.String()}},
		},
	}
	if h.kind == localPod {
		p.Spec.NodeName = nodeName
	}
	return p
}

func namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// nodes are the two nodes of the lab.
func (l *lab) nodes() []*corev1.Node {
	newNode := func(name string, ranges []string, addresses ...string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: ranges[0], PodCIDRs: ranges}}
		for _, a := range addresses {
			n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
		}
		return n
	}
	return []*corev1.Node{
		newNode(nodeName, []string{range4.String(), range6.String()}, uplink4.String(), uplink6.String()),
		newNode("node-1", []string{"10.244.1.0/24", "fd00:10:244:1::/64"}, other4.String(), other6.String()),
	}
}
