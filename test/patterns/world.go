package patterns

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/reach"
)

// The reference world: two nodes, every pod with an address of both families, and the cluster's DNS.
var (
	nodes     = []string{"n1", "n2"}
	nodeAddrs = []netip.Addr{netip.MustParseAddr("10.200.0.11"), netip.MustParseAddr("10.200.0.12")}
	dnsPod    = types.NamespacedName{Namespace: metav1.NamespaceSystem, Name: "coredns"}
)

// Environment is what AppTiers are expanded in here: the embedded cluster's.
func Environment() expand.Environment {
	env := expand.DefaultEnvironment()
	env.DNS.Addresses = []netip.Addr{netip.MustParseAddr("10.96.0.10")}
	return env
}

// Snapshot is the table's world under the given policies.
func (t *Table) Snapshot(policies []*networkingv1.NetworkPolicy) reach.Snapshot {
	s := reach.Snapshot{Policies: policies}
	for i, name := range nodes {
		s.Nodes = append(s.Nodes, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: nodeAddrs[i].String()}}},
		})
	}
	for _, name := range t.namespaces() {
		s.Namespaces = append(s.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: t.Namespaces[name]}})
	}
	s.Pods = append(s.Pods, pod(0, dnsPod, map[string]string{"k8s-app": "kube-dns"}))
	for i, name := range slices.Sorted(maps.Keys(t.Pods)) {
		s.Pods = append(s.Pods, pod(i+1, key(name), t.Pods[name]))
	}
	return s
}

// namespaces are those of the table's pods, sorted.
func (t *Table) namespaces() []string {
	found := map[string]bool{}
	for name := range t.Pods {
		found[key(name).Namespace] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func key(name string) types.NamespacedName {
	namespace, pod, _ := strings.Cut(name, "/")
	return types.NamespacedName{Namespace: namespace, Name: pod}
}

// pod is the i-th pod of the world; the nodes take turns.
func pod(i int, name types.NamespacedName, labels map[string]string) *corev1.Pod {
	node := i % len(nodes)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, Labels: labels},
		Spec:       corev1.PodSpec{NodeName: nodes[node]},
		Status: corev1.PodStatus{
			Phase:  corev1.PodRunning,
			HostIP: nodeAddrs[node].String(),
			PodIPs: []corev1.PodIP{{IP: fmt.Sprintf("10.244.%d.%d", node+1, i+2)}, {IP: fmt.Sprintf("fd00:10:244:%d::%d", node+1, i+2)}},
		},
	}
}

// Allowed says what policy/reach makes of a check, and why.
func Allowed(evaluator *reach.Evaluator, snapshot reach.Snapshot, check Check) (verdict reach.Verdict, reason string) {
	flow := reach.Flow{Source: endpoint(check.From), Destination: endpoint(check.To), Protocol: check.Protocol, Port: check.Port}
	if check.From.Word == Kubelet {
		flow.Source = reach.Endpoint{Address: nodeOf(snapshot, check.To.Pod)}
	}
	if check.To.Word != DNS {
		result := evaluator.Allowed(flow)
		return result.Verdict, result.String()
	}
	flow.Destination, flow.Port = reach.Endpoint{Pod: dnsPod}, 53
	for _, flow.Protocol = range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
		if result := evaluator.Allowed(flow); result.Verdict != reach.Allow {
			return result.Verdict, result.String()
		}
	}
	return reach.Allow, "by UDP and TCP"
}

func endpoint(end End) reach.Endpoint { return reach.Endpoint{Pod: end.Pod, Address: end.Address} }

// nodeOf is the address of the node that a pod is on.
func nodeOf(snapshot reach.Snapshot, name types.NamespacedName) netip.Addr {
	for _, pod := range snapshot.Pods {
		if pod.Namespace == name.Namespace && pod.Name == name.Name {
			return netip.MustParseAddr(pod.Status.HostIP)
		}
	}
	return netip.Addr{}
}
