// Package reachtest generates snapshots and flows, for tests of whatever must agree with package
// reach.
//
// The domains are small, so that labels, ports and addresses of policies and pods meet often. What
// is generated passes the API server's validation.
package reachtest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/reach"
)

// bounds is what options change.
type bounds struct {
	nodes, pods, policies int
	onlyRunning           bool
	onlyPodNetwork        bool
	onlyDualStack         bool
	disputed              bool
}

// Option narrows what [Snapshot] generates.
type Option func(*bounds)

// MaxNodes bounds the number of nodes, 1 to 200; 3 by default.
func MaxNodes(n int) Option { return func(b *bounds) { b.nodes = n } }

// MaxPods bounds the number of pods, 1 to 200; 8 by default.
func MaxPods(n int) Option { return func(b *bounds) { b.pods = n } }

// MaxPolicies bounds the number of policies, from 0; 6 by default.
func MaxPolicies(n int) Option { return func(b *bounds) { b.policies = n } }

// OnlyRunning leaves out pods that have no address yet, and those that have finished, so that no
// verdict on a flow that [Packet] generates is unknown.
func OnlyRunning() Option { return func(b *bounds) { b.onlyRunning = true } }

// OnlyPodNetwork leaves out pods on their node's network.
func OnlyPodNetwork() Option { return func(b *bounds) { b.onlyPodNetwork = true } }

// OnlyDualStack gives every pod that has addresses one of each family.
func OnlyDualStack() Option { return func(b *bounds) { b.onlyDualStack = true } }

// Disputed has statuses say what is not so: pods claim the addresses of others, now and then, and
// addresses of nodes are said to be pods', by the status of pods and by Node objects. The Node object of
// the first node is missing at times.
func Disputed() Option { return func(b *bounds) { b.disputed = true } }

var (
	// rapid favours what is listed first, so that objects gather in one namespace.
	namespaceNames = []string{"blue", "green", "red"}
	namespaceTeams = []string{"one", "two"}
	labelValues    = map[string][]string{"app": {"web", "api"}, "tier": {"front", "back"}}
	labelKeys      = slices.Sorted(maps.Keys(labelValues))
)

// Snapshot generates namespaces, nodes, pods and policies. A Namespace object is missing now and
// then, as it may be while caches fill.
//
// Node n has the addresses 192.168.0.(10+n) and fd00:192::(10+n) and the pod ranges 10.244.n.0/24 and
// fd00:10:244:n::/64, all in hexadecimal for IPv6.
func Snapshot(options ...Option) *rapid.Generator[reach.Snapshot] {
	b := bounds{nodes: 3, pods: 8, policies: 6}
	for _, option := range options {
		option(&b)
	}
	return rapid.Custom(func(t *rapid.T) reach.Snapshot {
		var s reach.Snapshot
		for _, name := range namespaceNames {
			if !rarely(t, "missing namespace") {
				s.Namespaces = append(s.Namespaces, namespace(t, name))
			}
		}
		for i := range count(t, "nodes", 1, b.nodes) {
			s.Nodes = append(s.Nodes, node(i))
		}
		for i := range count(t, "pods", min(2, b.pods), b.pods) {
			s.Pods = append(s.Pods, b.pod(t, i, len(s.Nodes)))
		}
		for i := range count(t, "policies", min(1, b.policies), b.policies) {
			s.Policies = append(s.Policies, Policy(fmt.Sprintf("policy-%d", i)).Draw(t, "policy"))
		}
		if b.disputed {
			dispute(t, &s)
		}
		return s
	})
}

func namespace(t *rapid.T, name string) *corev1.Namespace {
	set := map[string]string{corev1.LabelMetadataName: name}
	if !rarely(t, "no team") {
		set["team"] = rapid.SampledFrom(namespaceTeams).Draw(t, "team")
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: set}}
}

func node(i int) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName(i)}}
	n.Spec.PodCIDRs = []string{fmt.Sprintf("10.244.%d.0/24", i), fmt.Sprintf("fd00:10:244:%x::/64", i)}
	n.Spec.PodCIDR = n.Spec.PodCIDRs[0]
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: n.Name}}
	for _, address := range nodeAddresses(i) {
		n.Status.Addresses = append(n.Status.Addresses,
			corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address.String()})
	}
	return n
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

func nodeAddresses(i int) []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr(fmt.Sprintf("192.168.0.%d", 10+i)),
		netip.MustParseAddr(fmt.Sprintf("fd00:192::%x", 10+i)),
	}
}

// podAddresses returns the addresses that only pod i on this node has.
func podAddresses(i, node int) []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr(fmt.Sprintf("10.244.%d.%d", node, 2+i)),
		netip.MustParseAddr(fmt.Sprintf("fd00:10:244:%x::%x", node, 2+i)),
	}
}

// pod generates the i-th pod, on one of the nodes.
func (b bounds) pod(t *rapid.T, i, nodes int) *corev1.Pod {
	on := rapid.IntRange(0, nodes-1).Draw(t, "node")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: rapid.SampledFrom(namespaceNames).Draw(t, "namespace"),
		Name:      fmt.Sprintf("pod-%d", i),
		Labels:    podLabels(t),
	}}
	pod.Spec.NodeName = nodeName(on)
	pod.Spec.HostNetwork = !b.onlyPodNetwork && rarely(t, "host network")
	pod.Spec.Containers = []corev1.Container{{Name: "main", Image: "main", Ports: containerPorts(t)}}
	pod.Spec.InitContainers = initContainers(t)
	if pod.Spec.HostNetwork {
		keepHostPort(&pod.Spec)
	}
	b.status(t, pod, i, on)
	return pod
}

// keepHostPort leaves a pod on its node's network one port, as its host port too, which validation
// demands, and demands to be unique.
func keepHostPort(spec *corev1.PodSpec) {
	spec.InitContainers = nil
	main := &spec.Containers[0]
	if len(main.Ports) > 0 {
		main.Ports = main.Ports[:1]
		main.Ports[0].HostPort = main.Ports[0].ContainerPort
	}
}

// status gives the pod its phase and addresses. Of those that are not running, a pending one has no
// address, and a finished one still shows its last, which another pod may have by now.
func (b bounds) status(t *rapid.T, pod *corev1.Pod, i, on int) {
	pod.Status.Phase = corev1.PodRunning
	if !b.onlyRunning && rarely(t, "not running") {
		phases := []corev1.PodPhase{corev1.PodPending, corev1.PodSucceeded, corev1.PodFailed}
		pod.Status.Phase = rapid.SampledFrom(phases).Draw(t, "phase")
	}
	if !b.onlyRunning && rarely(t, "being removed") {
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &metav1.Time{Time: time.Unix(0, 0)}, new(int64)
	}
	for _, address := range nodeAddresses(on) {
		pod.Status.HostIPs = append(pod.Status.HostIPs, corev1.HostIP{IP: address.String()})
	}
	pod.Status.HostIP = pod.Status.HostIPs[0].IP

	addresses := podAddresses(i, on)
	switch {
	case pod.Status.Phase == corev1.PodPending:
		return
	case reach.Finished(pod):
		addresses = podAddresses(rapid.IntRange(0, i).Draw(t, "last address"), on)
	default: // it runs, and has the addresses of its number
	}
	switch {
	case pod.Spec.HostNetwork:
		addresses = nodeAddresses(on)
	case !b.onlyDualStack:
		families := [][]netip.Addr{addresses, {addresses[1], addresses[0]}, addresses[:1], addresses[1:]}
		addresses = rapid.SampledFrom(families).Draw(t, "families")
	}
	for _, address := range addresses {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: address.String()})
	}
	pod.Status.PodIP = pod.Status.PodIPs[0].IP
}

// dispute has some statuses say what is not so.
func dispute(t *rapid.T, s *reach.Snapshot) {
	nodes := len(s.Nodes)
	anyPods := func(label string) []string {
		var out []string
		for _, a := range podAddresses(rapid.IntRange(0, len(s.Pods)-1).Draw(t, label), rapid.IntRange(0, nodes-1).Draw(t, label+"'s node")) {
			out = append(out, a.String())
		}
		return out
	}
	for _, pod := range s.Pods {
		if pod.Status.PodIP != "" && !pod.Spec.HostNetwork && rapid.IntRange(0, 3).Draw(t, "claims another's address") == 3 {
			for _, text := range anyPods("other pod") {
				pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: text})
			}
			if rapid.Bool().Draw(t, "gives up its own") {
				pod.Status.PodIPs = pod.Status.PodIPs[len(pod.Status.PodIPs)-2:]
				pod.Status.PodIP = pod.Status.PodIPs[0].IP
			}
		}
		if rarely(t, "says that another is its node") {
			pod.Status.HostIPs = append(pod.Status.HostIPs, corev1.HostIP{IP: anyPods("said to be the node")[0]})
		}
	}
	if rarely(t, "the node claims a pod's address") {
		s.Nodes[0].Status.Addresses = append(s.Nodes[0].Status.Addresses,
			corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: anyPods("claimed by the node")[0]})
	}
	if rarely(t, "a missing node") {
		s.Nodes = s.Nodes[1:]
	}
}

func podLabels(t *rapid.T) map[string]string {
	set := map[string]string{}
	for _, key := range labelKeys {
		if !rarely(t, "no "+key) {
			set[key] = rapid.SampledFrom(labelValues[key]).Draw(t, key)
		}
	}
	return set
}

// count draws a number of objects. As the length of a list it is spread over its range; rapid's
// integers gather at the low end.
func count(t *rapid.T, label string, least, most int) int {
	return len(rapid.SliceOfN(rapid.Just(struct{}{}), least, most).Draw(t, label))
}

// rarely draws true now and then, and shrinks to false.
func rarely(t *rapid.T, label string) bool {
	return rapid.Uint8().Draw(t, label) > 230
}
