package kernel

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// both is every kind of connection between two hosts, both ways.
func both(a, b lab.Host) []lab.Cell {
	var cells []lab.Cell
	for _, v6 := range []bool{false, true} {
		for _, ends := range [][2]lab.Host{{a, b}, {b, a}} {
			cells = append(cells, lab.Cell{From: ends[0], To: ends[1], V6: v6, Protocol: lab.ICMP})
			for _, protocol := range portProtocols {
				cells = append(cells, lab.Cell{From: ends[0], To: ends[1], V6: v6, Protocol: protocol, Port: 80})
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
	eachWiring(t, func(t *testing.T, l labNode) {
		l.Listen(t, probePorts)
		pod, neighbour, remote := l.Host("local-0"), l.Host("local-1"), l.Host("remote-0")
		node, gateway := l.Host("node"), l.Gateway()
		known, unknown := l.Shop(), l.Shop()
		unknown.Pods = slices.DeleteFunc(unknown.Pods, isNamed(pod.Name))
		others := slices.Concat(both(pod, neighbour), both(pod, remote), both(pod, l.Host("world-7")))
		nodes := slices.Concat(both(pod, node), both(pod, gateway))

		table := l.Load(t, unknown, 1)
		l.expect(t, others, false)
		l.expect(t, nodes, true)
		l.expect(t, slices.Concat(both(neighbour, remote), both(neighbour, node)), true)
		l.serve(t, neighbour, 80, hairpins)
		l.expect(t, toService(pod), false)
		l.serve(t, pod, 80, hairpins)
		l.expect(t, toService(neighbour), false)

		// No policy selects it, so it is open from the moment that it is known.
		table = l.Change(t, table, known, 2)
		l.expect(t, slices.Concat(others, nodes, toService(neighbour)), true)
		s := l.dial(t, pod, remote, false, 8080)

		l.Change(t, table, unknown, 3)
		if sends(t, s.client, s.server, idle) {
			t.Error("a connection of a pod that is gone goes on")
		}
		l.expect(t, others, false)
	})
}

// A Node object may claim an address that another node's pod gets. Who is not known yet reaches nobody by it.
func TestAPodThatIsNotKnownReachesNoAddressThatItsNodeClaims(t *testing.T) {
	l := newLab(t, lab.Routed)
	l.Listen(t, probePorts)
	pod, remote := l.Host("local-0"), l.Host("remote-0")
	snapshot := reach.Snapshot{Nodes: l.Nodes()}
	for _, v6 := range []bool{false, true} {
		snapshot.Nodes[0].Status.Addresses = append(snapshot.Nodes[0].Status.Addresses,
			corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: remote.Address(v6).String()})
	}
	l.Load(t, snapshot, 1)
	l.expect(t, both(pod, remote), false)
}

// Where the node's object names no ranges there is no telling which addresses are pods'.
func TestWithoutRangesThereIsNoGate(t *testing.T) {
	l := newLab(t, lab.Routed)
	l.Listen(t, probePorts)
	snapshot := reach.Snapshot{Nodes: l.Nodes()}
	snapshot.Nodes[0].Spec = corev1.NodeSpec{}
	l.Load(t, snapshot, 1)
	l.expect(t, both(l.Host("local-0"), l.Host("remote-0")), true)
}

// A network plugin with address ranges of its own may give an address of this node's range to a
// pod of another one.
func TestAPodElsewhereWithAnAddressOfThisNodesRangeIsOpen(t *testing.T) {
	l := newLab(t, lab.Routed)
	l.Listen(t, probePorts)
	snapshot := l.Shop()
	snapshot.Nodes[0].Spec.PodCIDRs = []string{"10.244.0.0/16", "fd00:10:244::/48"}
	l.Load(t, snapshot, 1)
	l.expect(t, both(l.Host("local-0"), l.Host("remote-0")), true)
	l.expect(t, both(l.Host("local-0"), l.Host("remote-7")), false)
}
