// Package differential asks somebody else about the same worlds as package policy/reach: cyclonus'
// evaluator (https://github.com/mattfenwick/cyclonus), which shares no code with it. It is a module of
// its own, so that what cyclonus needs is no dependency of the project.
package differential

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
	"github.com/apptier/apptier/test/patterns"
)

// Each generated world is asked about every pair of its pods, and a number of drawn packets.
func TestGeneratedWorlds(t *testing.T) {
	var n counts
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot(reachtest.OnlyRunning(), reachtest.OnlyPodNetwork()).Draw(t, "snapshot")
		world := newWorld(s)
		for range 20 {
			flow := reachtest.Packet(s).Draw(t, "flow")
			if difference := world.compare(flow, &n); difference != "" {
				t.Fatal(difference)
			}
		}
		for _, flow := range flowsBetweenPods(s) {
			if difference := world.compare(flow, &n); difference != "" {
				t.Fatal(difference)
			}
		}
	})
	n.report(t)
}

// The sample of every pattern is asked about every pair of the pods that its picture shows.
func TestPatterns(t *testing.T) {
	var n counts
	all, err := patterns.Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		s := p.Table.Snapshot(patterns.Policies(p.AppTiers, patterns.Environment()))
		world := newWorld(s)
		for _, flow := range flowsBetweenPods(s) {
			if difference := world.compare(flow, &n); difference != "" {
				t.Errorf("%s: %s", p.Name, difference)
			}
		}
	}
	n.report(t)
}

// counts are what comparisons came to.
type counts struct{ allowed, denied, left int }

// report fails if nearly nothing was compared: agreement would show nothing.
func (n counts) report(t *testing.T) {
	t.Logf("agree: %d allowed, %d denied; not compared: %d", n.allowed, n.denied, n.left)
	if !testing.Short() && min(n.allowed, n.denied) < 100 {
		t.Errorf("too little was compared: %+v", n)
	}
}

// world is a snapshot as both evaluators read it.
type world struct {
	snapshot   reach.Snapshot
	ours       *reach.Evaluator
	theirs     *matcher.Policy
	pods       map[types.NamespacedName]*corev1.Pod
	namespaces map[string]map[string]string
	owners     map[netip.Addr]int
	// keys are those of labels that some selector asks for.
	keys map[string]bool
}

func newWorld(s reach.Snapshot) *world {
	w := &world{
		snapshot: s, ours: reach.New(s), pods: map[types.NamespacedName]*corev1.Pod{},
		namespaces: map[string]map[string]string{}, owners: map[netip.Addr]int{}, keys: map[string]bool{},
	}
	var policies []*networkingv1.NetworkPolicy
	for _, policy := range s.Policies {
		policies = append(policies, w.translated(policy))
	}
	w.theirs = matcher.BuildNetworkPolicies(true, policies)
	for _, namespace := range s.Namespaces {
		w.namespaces[namespace.Name] = labelled(namespace.Name, namespace.Labels)
	}
	for _, pod := range s.Pods {
		w.pods[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}] = pod
		for _, address := range addressesOf(pod) {
			w.owners[address]++
		}
	}
	return w
}

// translated is a policy as the API server stores it, since cyclonus reads what comes from one, and
// without what cyclonus takes otherwise than Kubernetes does: to it, NotIn does not match what lacks the
// label (k8s.io/apimachinery/pkg/labels, Requirement.Matches says that it does). So everything has every
// label here, with a value that stands for none, and selectors ask for that.
func (w *world) translated(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	policy = policy.DeepCopy()
	if len(policy.Spec.PolicyTypes) == 0 {
		policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(policy.Spec.Egress) > 0 {
			policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
	w.translate(&policy.Spec.PodSelector)
	for _, rule := range policy.Spec.Ingress {
		w.translatePeers(rule.From)
	}
	for _, rule := range policy.Spec.Egress {
		w.translatePeers(rule.To)
	}
	return policy
}

func (w *world) translatePeers(peers []networkingv1.NetworkPolicyPeer) {
	for _, peer := range peers {
		w.translate(peer.PodSelector)
		w.translate(peer.NamespaceSelector)
	}
}

// none is the value of a label that is not there.
const none = "none"

func (w *world) translate(selector *metav1.LabelSelector) {
	if selector == nil {
		return
	}
	for key := range selector.MatchLabels {
		w.keys[key] = true
	}
	for i, requirement := range selector.MatchExpressions {
		w.keys[requirement.Key] = true
		switch requirement.Operator {
		case metav1.LabelSelectorOpExists:
			requirement.Operator, requirement.Values = metav1.LabelSelectorOpNotIn, []string{none}
		case metav1.LabelSelectorOpDoesNotExist:
			requirement.Operator, requirement.Values = metav1.LabelSelectorOpIn, []string{none}
		default:
		}
		selector.MatchExpressions[i] = requirement
	}
}

// total are labels with a value for each key that is asked for.
func (w *world) total(set map[string]string) map[string]string {
	out := map[string]string{}
	for key := range w.keys {
		out[key] = none
	}
	maps.Copy(out, set)
	return out
}

func labelled(name string, set map[string]string) map[string]string {
	out := map[string]string{corev1.LabelMetadataName: name}
	for key, value := range set {
		out[key] = value
	}
	return out
}

func addressesOf(pod *corev1.Pod) []netip.Addr {
	var out []netip.Addr
	for _, ip := range append([]corev1.PodIP{{IP: pod.Status.PodIP}}, pod.Status.PodIPs...) {
		if address, err := netip.ParseAddr(ip.IP); err == nil && !slices.Contains(out, address) {
			out = append(out, address)
		}
	}
	return out
}

// flowsBetweenPods are connections from every pod to every other, on ports that policies and pods name
// and one that none does.
func flowsBetweenPods(s reach.Snapshot) []reach.Flow {
	var out []reach.Flow
	for _, source := range s.Pods {
		for _, destination := range s.Pods {
			for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP} {
				for _, port := range []int32{53, 80, 443, 5432, 8080, 4711} {
					out = append(out, reach.Flow{Source: endpoint(source), Destination: endpoint(destination), Protocol: protocol, Port: port})
				}
			}
		}
	}
	return out
}

func endpoint(pod *corev1.Pod) reach.Endpoint {
	e := reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}}
	if addresses := addressesOf(pod); len(addresses) > 0 {
		e.Address = addresses[0]
	}
	return e
}

// compare says what the two do not agree on. What cyclonus has no notion of is not compared: a pod and
// itself, a pod and its node, addresses that several pods claim, and ends without a common family.
func (w *world) compare(flow reach.Flow, n *counts) string {
	ours := w.ours.Allowed(flow)
	source, isSource := w.peer(flow.Source)
	destination, isDestination := w.peer(flow.Destination)
	if !isSource || !isDestination || flow.Source.Pod == flow.Destination.Pod || ours.Verdict == reach.Unknown {
		n.left++
		return ""
	}
	theirs := reach.Deny
	for _, name := range w.names(flow) {
		traffic := &matcher.Traffic{Source: source, Destination: destination, ResolvedPort: int(flow.Port), ResolvedPortName: name, Protocol: flow.Protocol}
		if traffic.Protocol == "" {
			traffic.Protocol = corev1.ProtocolTCP
		}
		if w.theirs.IsTrafficAllowed(traffic).IsAllowed() {
			theirs = reach.Allow
		}
	}
	switch {
	case theirs != ours.Verdict:
		text, err := yaml.Marshal(w.snapshot.Policies)
		return fmt.Sprintf("%+v: cyclonus says %s; %s\nsource: %+v\ndestination: %+v\n%s%v", flow, theirs, ours, source.Internal, destination.Internal, text, err)
	case theirs == reach.Allow:
		n.allowed++
	default:
		n.denied++
	}
	return ""
}

// peer is an end as cyclonus takes it; false for one that it cannot.
func (w *world) peer(e reach.Endpoint) (*matcher.TrafficPeer, bool) {
	peer := &matcher.TrafficPeer{IP: e.Address.String()}
	if !e.Address.IsValid() || w.owners[e.Address] > 1 || w.isNode(e.Address) {
		return nil, false
	}
	if pod, found := w.pods[e.Pod]; found {
		namespace, known := w.namespaces[pod.Namespace]
		if !known {
			namespace = labelled(pod.Namespace, nil)
		}
		peer.Internal = &matcher.InternalPeer{PodLabels: w.total(pod.Labels), NamespaceLabels: w.total(namespace), Namespace: pod.Namespace}
	}
	return peer, peer.Internal != nil || w.owners[e.Address] == 0
}

func (w *world) isNode(address netip.Addr) bool {
	for _, node := range w.snapshot.Nodes {
		for _, a := range node.Status.Addresses {
			if a.Address == address.String() {
				return true
			}
		}
	}
	return slices.ContainsFunc(w.snapshot.Pods, func(pod *corev1.Pod) bool {
		return pod.Status.HostIP == address.String() || slices.Contains(pod.Status.HostIPs, corev1.HostIP{IP: address.String()})
	})
}

// names are those of the port at the destination, and none: cyclonus takes one.
func (w *world) names(flow reach.Flow) []string {
	out := []string{""}
	if pod, found := w.pods[flow.Destination.Pod]; found {
		for _, p := range kube.Ports(pod) {
			isProtocol := p.Protocol == flow.Protocol || p.Protocol == "" && flow.Protocol == corev1.ProtocolTCP || flow.Protocol == "" && p.Protocol == corev1.ProtocolTCP
			if p.ContainerPort == flow.Port && isProtocol {
				out = append(out, p.Name)
			}
		}
	}
	return out
}
