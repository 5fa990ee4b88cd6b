package kernel

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/reach"
)

// both is every kind of connection between two hosts, both ways.
func both(a, b host) []cell {
	var cells []cell
	for _, v6 := range []bool{false, true} {
		for _, ends := range [][2]host{{a, b}, {b, a}} {
			cells = append(cells, cell{from: ends[0], to: ends[1], v6: v6, protocol: protocolICMP})
			for _, protocol := range portProtocols {
				cells = append(cells, cell{from: ends[0], to: ends[1], v6: v6, protocol: protocol, port: 80})
			}
		}
	}
	return cells
}

func isNamed(name string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return p.Name == name }
}

// A pod sends before anyone has heard of its address, and may be under policies. Until the node's
// rules know it, it reaches its node, and nobody else.
func TestAPodIsClosedUntilItIsKnown(t *testing.T) {
	eachWiring(t, func(t *testing.T, l *lab) {
		l.listen(t, probePorts)
		pod, neighbour, remote := l.host("local-0"), l.host("local-1"), l.host("remote-0")
		node, gateway := l.host("node"), l.gateway()
		known, unknown := l.shop(), l.shop()
		unknown.Pods = slices.DeleteFunc(unknown.Pods, isNamed(pod.name))
		others := slices.Concat(both(pod, neighbour), both(pod, remote), both(pod, l.host("world-7")))
		nodes := slices.Concat(both(pod, node), both(pod, gateway))

		table := l.load(t, unknown, 1)
		l.expect(t, others, false)
		l.expect(t, nodes, true)
		l.expect(t, slices.Concat(both(neighbour, remote), both(neighbour, node)), true)
		l.serve(t, neighbour, 80, hairpins)
		l.expect(t, toService(pod), false)
		l.serve(t, pod, 80, hairpins)
		l.expect(t, toService(neighbour), false)

		// No policy selects it, so it is open from the moment that it is known.
		table = l.change(t, table, known, 2)
		l.expect(t, slices.Concat(others, nodes, toService(neighbour)), true)
		s := l.dial(t, pod, remote, false, 8080)

		l.change(t, table, unknown, 3)
		if sends(t, s.client, s.server, idle) {
			t.Error("a connection of a pod that is gone goes on")
		}
		l.expect(t, others, false)
	})
}

// Where the node's object names no ranges there is no telling which addresses are pods'.
func TestWithoutRangesThereIsNoGate(t *testing.T) {
	l := newLab(t)
	l.listen(t, probePorts)
	snapshot := reach.Snapshot{Nodes: l.nodes()}
	snapshot.Nodes[0].Spec = corev1.NodeSpec{}
	l.load(t, snapshot, 1)
	l.expect(t, both(l.host("local-0"), l.host("remote-0")), true)
}

// A network plugin with address ranges of its own may give an address of this node's range to a
// pod of another one.
func TestAPodElsewhereWithAnAddressOfThisNodesRangeIsOpen(t *testing.T) {
	l := newLab(t)
	l.listen(t, probePorts)
	snapshot := l.shop()
	snapshot.Nodes[0].Spec.PodCIDRs = []string{"10.244.0.0/16", "fd00:10:244::/48"}
	l.load(t, snapshot, 1)
	l.expect(t, both(l.host("local-0"), l.host("remote-0")), true)
	l.expect(t, both(l.host("local-0"), l.host("remote-7")), false)
}
