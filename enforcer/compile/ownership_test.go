package compile_test

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/policy/reach"
)

const victimAddress = "10.0.0.2"

// besieged is a node with a pod that a policy closes, and a peer that another node has.
func besieged() (*compile.Compiler, *corev1.Pod) {
	c := compile.New("node")
	victim := claimantPod("victim", "node", victimAddress, "app", "victim")
	c.Tell(reach.Snapshot{
		Nodes: []*corev1.Node{{
			ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24"}},
			Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.168.0.1"}}},
		}},
		Pods: []*corev1.Pod{victim, claimantPod("peer", "elsewhere", "10.0.1.2", "app", "peer")},
		Policies: []*networkingv1.NetworkPolicy{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"},
			Spec: networkingv1.NetworkPolicySpec{
				PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "victim"}},
				Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
					{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "peer"}}},
				}}},
			},
		}},
	})
	return c, victim
}

func claimantPod(name, node, address string, label ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{label[0]: label[1]}},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address},
	}
}

// has tells whether a set of the table has an element.
func has(c *compile.Compiler, set, key string) bool {
	_, ok := c.Tracker().Table().Sets[set].Elements[key]
	return ok
}

// No object of anybody's opens another's pod, or makes a peer of an address that is another's.
func TestNoObjectOpensAnothersPod(t *testing.T) {
	const isolated, peers = "ingress4", "pods4-a.app-peer-b64d20de6ff1"
	for _, test := range []struct {
		name   string
		attack func(c *compile.Compiler, victim *corev1.Pod)
	}{
		{"a younger pod elsewhere has its address", func(c *compile.Compiler, _ *corev1.Pod) {
			thief := claimantPod("thief", "elsewhere", victimAddress, "app", "thief")
			thief.CreationTimestamp = metav1.Unix(1<<40, 0)
			c.SetPod(thief)
		}},
		{"a younger pod of the node has its address", func(c *compile.Compiler, _ *corev1.Pod) {
			thief := claimantPod("thief", "node", victimAddress, "app", "thief")
			thief.CreationTimestamp = metav1.Unix(1<<40, 0)
			c.SetPod(thief)
		}},
		{"a neighbour says that it is their node", func(c *compile.Compiler, _ *corev1.Pod) {
			neighbour := claimantPod("neighbour", "node", "10.0.0.3", "app", "neighbour")
			neighbour.Status.HostIP, neighbour.Status.HostIPs = victimAddress, []corev1.HostIP{{IP: victimAddress}, {IP: "10.0.1.2"}}
			c.SetPod(neighbour)
		}},
		{"the victim's own status says so", func(c *compile.Compiler, victim *corev1.Pod) {
			victim = victim.DeepCopy()
			victim.Status.HostIP = victimAddress
			c.SetPod(victim)
		}},
		{"the node says that it is it", func(c *compile.Compiler, _ *corev1.Pod) {
			c.SetNode(&corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "node"},
				Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Address: victimAddress}, {Address: "10.0.1.2"}}},
			})
		}},
		{"a stranger's address is said to be a peer's", func(c *compile.Compiler, _ *corev1.Pod) {
			c.SetPod(claimantPod("stranger", "another", "10.0.1.9", "app", "stranger"))
			c.SetPod(claimantPod("thief", "elsewhere", "10.0.1.9", "app", "peer"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, victim := besieged()
			if !has(c, isolated, victimAddress) || !has(c, peers, "10.0.1.2") {
				t.Fatalf("the victim is not isolated, or lacks its peer:\n%s", c.Tracker().Table())
			}
			test.attack(c, victim)
			if !has(c, isolated, victimAddress) {
				t.Error("the victim is open")
			}
			for _, address := range []string{victimAddress, "10.0.1.2"} {
				if has(c, "node4", address) {
					t.Errorf("%s counts as the node", address)
				}
			}
			if has(c, peers, "10.0.1.9") || has(c, peers, victimAddress) {
				t.Error("a stranger is a peer")
			}
		})
	}
}

// What a pod elsewhere claims of a pod of this node takes nothing from it either.
func TestAClaimElsewhereChangesNothingForAPodOfTheNode(t *testing.T) {
	c, _ := besieged()
	before := c.Ruleset().Table(1)
	c.SetPod(claimantPod("thief", "elsewhere", victimAddress, "app", "peer"))
	if after := c.Ruleset().Table(1); after.String() != before.String() {
		t.Errorf("got:\n%s\nwant:\n%s", after, before)
	}
}

// What the container runtime has announced is not what others say.
func TestAnAnnouncedAddressIsNotContested(t *testing.T) {
	c, _ := besieged()
	stale := claimantPod("stale", "node", "10.0.0.7", "app", "victim")
	c.SetPod(stale)
	c.PutPod(ipset.NewPod(claimantPod("new", "node", "", "app", "new"), "node").With([]netip.Addr{netip.MustParseAddr("10.0.0.7")}))
	if has(c, "ingress4", "10.0.0.7") {
		t.Error("the pod that has the address is under the policies of one that had it")
	}
	c.DeletePod("a", "new")
	if !has(c, "ingress4", "10.0.0.7") {
		t.Error("the other is not isolated")
	}
}

// An address that the kernel shows attached to the node is closed while no pod of the node is known to
// have it, whatever the node's ranges are and whoever else claims it.
func TestAnAttachedAddressIsClosedUntilAPodOfTheNodeHasIt(t *testing.T) {
	closed := func(c *compile.Compiler, address string) bool {
		inRange := has(c, "range4", address) || has(c, "range4", "10.0.0.0-10.0.0.255") && address[:7] == "10.0.0."
		return inRange && !has(c, "known4", address)
	}
	for _, address := range []string{"10.0.0.9", "172.16.0.9"} {
		t.Run(address, func(t *testing.T) {
			c, _ := besieged()
			attached := []netip.Addr{netip.MustParseAddr(address)}
			claim := claimantPod("thief", "elsewhere", address, "app", "x")
			c.SetPod(claim)
			if closed(c, address) {
				t.Error("a pod elsewhere is closed")
			}
			c.SetAttached(attached)
			if !closed(c, address) {
				t.Error("open, since a pod elsewhere claims it")
			}
			c.DeletePod("a", "thief")
			if !closed(c, address) {
				t.Error("open, and nobody's")
			}
			c.SetPod(claimantPod("mine", "node", address, "app", "x"))
			if closed(c, address) {
				t.Error("closed, and a pod's")
			}
			c.DeletePod("a", "mine") // by force: it still runs
			if !closed(c, address) {
				t.Error("open, and forgotten")
			}
			c.DeleteNode("node")
			if !closed(c, address) {
				t.Error("open without the node")
			}
			c.SetAttached(nil)
			if closed(c, address) {
				t.Error("closed, and gone")
			}
		})
	}
}
