package widening_test

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/widening"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// judged is a generated world in which some policies are taken to be those of AppTiers, and one is
// judged.
type judged struct {
	reach.Snapshot
	generated []*networkingv1.NetworkPolicy
	policy    *networkingv1.NetworkPolicy
	world     world.World
}

func drawJudged(t *rapid.T) judged {
	j := judged{Snapshot: reachtest.Snapshot().Draw(t, "world")}
	j.policy = reachtest.Policy("judged").Draw(t, "judged")
	switch rapid.IntRange(0, 2).Draw(t, "named ports") {
	case 0:
		withoutNames(j.policy)
	case 1:
		onlyNames(j.policy)
	}
	for _, policy := range j.Policies {
		withoutNames(policy) // AppTiers stand for policies without
		policy.Namespace = j.policy.Namespace
		j.generated = append(j.generated, policy)
	}
	j.Policies = nil
	j.world = world.World{
		Whole: true, Known: world.Parts{Namespaces: true, Pods: true, Services: true, Policies: true},
		Namespaces: j.Namespaces, Pods: j.Pods, Generated: j.generated,
		PodNetworks: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:10:244::/48")},
	}
	return j
}

func withoutNames(policy *networkingv1.NetworkPolicy) {
	numbered := func(ports []networkingv1.NetworkPolicyPort) {
		for i := range ports {
			if ports[i].Port != nil && ports[i].Port.Type == intstr.String {
				*ports[i].Port = intstr.FromInt32(80)
			}
		}
	}
	for i := range policy.Spec.Ingress {
		numbered(policy.Spec.Ingress[i].Ports)
	}
	for i := range policy.Spec.Egress {
		numbered(policy.Spec.Egress[i].Ports)
	}
}

// onlyNames leaves one rule of each direction, with ports by name alone.
func onlyNames(policy *networkingv1.NetworkPolicy) {
	name := intstr.FromString("http")
	ports := []networkingv1.NetworkPolicyPort{{Port: &name}}
	if len(policy.Spec.Ingress) > 0 {
		policy.Spec.Ingress = policy.Spec.Ingress[:1]
		policy.Spec.Ingress[0].Ports = ports
	}
	if len(policy.Spec.Egress) > 0 {
		policy.Spec.Egress = policy.Spec.Egress[:1]
		policy.Spec.Egress[0].Ports = ports
	}
}

// opens says whether a policy lets a half of a flow pass that others deny.
func opens(s reach.Snapshot, generated []*networkingv1.NetworkPolicy, policy *networkingv1.NetworkPolicy, flow reach.Flow, direction networkingv1.PolicyType) bool {
	half := func(policies []*networkingv1.NetworkPolicy) reach.Decision {
		s.Policies = policies
		if result := reach.Allowed(s, flow); direction == networkingv1.PolicyTypeIngress {
			return result.Ingress
		} else {
			return result.Egress
		}
	}
	before, after := half(generated), half(append([]*networkingv1.NetworkPolicy{policy}, generated...))
	return before.Verdict == reach.Deny && after.Verdict == reach.Allow
}

var directions = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}

// What is opened is found: no flow of any world passes a half that was closed, unless the check says
// so, or that it does not know.
func TestNoWideningIsMissed(t *testing.T) {
	count := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 4 { // few policies open anything
			checkNoneIsMissed(t, count)
		}
	})
	t.Log(count)
	if count["opened"] == 0 {
		t.Error("nothing was ever opened: the property holds for no reason")
	}
}

func checkNoneIsMissed(t *rapid.T, count map[string]int) {
	j := drawJudged(t)
	if rapid.Bool().Draw(t, "nothing is known") {
		j.world = world.World{Generated: j.generated}
	}
	said := map[networkingv1.PolicyType]bool{}
	for w := range widening.Of(world.NewView(j.policy, world.NewIndex(j.world), new(check.Work))) {
		said[w.Direction] = true
	}
	for range 30 {
		flow := reachtest.Packet(j.Snapshot).Draw(t, "flow")
		for _, direction := range directions {
			switch opened := opens(j.Snapshot, j.generated, j.policy, flow, direction); {
			case opened && !said[direction]:
				t.Fatalf("%s of %+v is opened, and nothing said", direction, flow)
			case opened:
				count["opened"]++
			}
		}
	}
}

// What is said is true: in a world with the pods that the witness describes, the evaluator lets the
// connection pass, and does not without the policy. Few policies open anything, so that several worlds are
// drawn at a time.
func TestEveryWitnessIsTrue(t *testing.T) {
	count := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			checkWitnesses(t, count)
		}
	})
	t.Log(count)
	if count["unknown"] > count["known"] { // half of the worlds are, and a third of the ports have names
		t.Errorf("too much is unknown: %v", count)
	}
}

func checkWitnesses(t *rapid.T, count map[string]int) {
	j := drawJudged(t)
	if rapid.Bool().Draw(t, "nothing is known") {
		j.world = world.World{Generated: j.generated}
	}
	for w := range widening.Of(world.NewView(j.policy, world.NewIndex(j.world), new(check.Work))) {
		if w.Unknown != "" {
			count["unknown"]++
			continue
		}
		count["known"]++
		s, flow := enact(j, w)
		if !opens(s, j.generated, j.policy, flow, w.Direction) {
			s.Policies = append([]*networkingv1.NetworkPolicy{j.policy}, j.generated...)
			t.Fatalf("%s of %+v is said to be opened, and is not\n%s", w.Direction, flow, reach.Allowed(s, flow))
		}
	}
}

// enact makes the world that a witness describes, and its flow.
func enact(j judged, w widening.Widening) (reach.Snapshot, reach.Flow) {
	var s reach.Snapshot
	subject := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: j.policy.Namespace, Name: "subject", Labels: w.Subject}}
	if w.SubjectPod != nil {
		subject.Spec = w.SubjectPod.Spec
	}
	subject.Spec.NodeName = "one"
	subject.Status.PodIP = "10.244.99.1"
	if w.Address.Is6() {
		subject.Status.PodIP = "fd00:10:244:99::1"
	}
	s.Pods = append(s.Pods, subject)
	s.Namespaces = append(s.Namespaces, j.Namespaces...)
	end, other := reach.Endpoint{Pod: types.NamespacedName{Namespace: subject.Namespace, Name: subject.Name}}, reach.Endpoint{Address: w.Address}
	if w.IsPod {
		peer := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace[corev1.LabelMetadataName], Name: "peer", Labels: w.Peer}}
		if w.PeerPod != nil {
			peer.Spec = w.PeerPod.Spec
		}
		peer.Spec.NodeName = "two"
		peer.Status.PodIP = w.Address.String()
		s.Pods = append(s.Pods, peer)
		s.Namespaces = append([]*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: peer.Namespace, Labels: w.Namespace}}}, s.Namespaces...)
		for i, namespace := range s.Namespaces[1:] { // what is known of it, or else what the witness says
			if namespace.Name == peer.Namespace && len(j.world.Namespaces) == 0 {
				s.Namespaces[i+1] = s.Namespaces[0]
			}
		}
		other.Pod = types.NamespacedName{Namespace: peer.Namespace, Name: peer.Name}
	}
	flow := reach.Flow{Source: other, Destination: end, Protocol: w.Port.Protocol(), Port: w.Port.Number()}
	if w.Direction == networkingv1.PolicyTypeEgress {
		flow.Source, flow.Destination = end, other
	}
	if flow.Protocol == "" {
		flow.Protocol = "ICMP"
	}
	return s, flow
}
