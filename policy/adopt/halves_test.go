package adopt_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/adopt"
	"github.com/apptier/apptier/policy/reach"
)

// apps are what the pods of generated applications are called.
var apps = []string{"web", "api", "db"}

func app(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

// applications are policies as people write them: a denial for all, DNS, and for each application who may come and
// where it may go; some halves have no other, and some are for more.
func applications(t *rapid.T) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	add := func(namespace string, spec networkingv1.NetworkPolicySpec) {
		name := fmt.Sprintf("p%d", len(out))
		out = append(out, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec})
	}
	const in, eg = networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress
	types := [][]networkingv1.PolicyType{{in}, {eg}, {in, eg}}
	var connections []connection
	for range rapid.IntRange(0, 6).Draw(t, "connections") {
		connections = append(connections, connection{end(t), end(t), rapid.SampledFrom([]int32{80, 8080}).Draw(t, "port")})
	}
	for _, namespace := range []string{"one", "two"} {
		if rapid.Bool().Draw(t, "denial for all") {
			add(namespace, networkingv1.NetworkPolicySpec{PolicyTypes: rapid.SampledFrom(types).Draw(t, "denied")})
		}
		if rapid.Bool().Draw(t, "DNS for all") {
			add(namespace, networkingv1.NetworkPolicySpec{PolicyTypes: types[1], Egress: []networkingv1.NetworkPolicyEgressRule{dnsRule(t)}})
		}
		for _, name := range apps {
			spec := networkingv1.NetworkPolicySpec{PodSelector: *app(name), PolicyTypes: rapid.SampledFrom(types).Draw(t, "types")}
			for _, c := range connections {
				on := []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(c.port))}}
				if c.to == [2]string{namespace, name} {
					spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: c.peer(c.from, namespace), Ports: on})
				}
				if c.from == [2]string{namespace, name} {
					spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: c.peer(c.to, namespace), Ports: on})
				}
			}
			for range rapid.IntRange(0, 1).Draw(t, "rules in") {
				spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: others(t), Ports: somePorts(t)})
			}
			for range rapid.IntRange(0, 1).Draw(t, "rules out") {
				spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: others(t), Ports: somePorts(t)})
			}
			if rapid.Bool().Draw(t, "DNS") {
				spec.Egress = append(spec.Egress, dnsRule(t))
			}
			add(namespace, spec)
		}
		if rapid.IntRange(0, 3).Draw(t, "another label") == 0 {
			add(namespace, networkingv1.NetworkPolicySpec{
				PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"role": "canary"}}, PolicyTypes: types[0],
				Ingress: []networkingv1.NetworkPolicyIngressRule{{From: others(t), Ports: somePorts(t)}},
			})
		}
	}
	return out
}

// connection is one of which both halves are said. Ends are namespaces and applications.
type connection struct {
	from, to [2]string
	port     int32
}

func end(t *rapid.T) [2]string {
	return [2]string{rapid.SampledFrom([]string{"one", "two"}).Draw(t, "namespace"), rapid.SampledFrom(apps).Draw(t, "application")}
}

// peer is an end as a policy of a namespace has it.
func (connection) peer(of [2]string, namespace string) []networkingv1.NetworkPolicyPeer {
	p := networkingv1.NetworkPolicyPeer{PodSelector: app(of[1])}
	if of[0] != namespace {
		p.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: of[0]}}
	}
	return []networkingv1.NetworkPolicyPeer{p}
}

func others(t *rapid.T) []networkingv1.NetworkPolicyPeer {
	peer := func(t *rapid.T) networkingv1.NetworkPolicyPeer {
		p := networkingv1.NetworkPolicyPeer{PodSelector: app(rapid.SampledFrom(apps).Draw(t, "peer"))}
		switch rapid.IntRange(0, 5).Draw(t, "kind of peer") {
		case 0:
			name := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "namespace")
			p.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: name}}
		case 1:
			p.PodSelector = &metav1.LabelSelector{}
		}
		return p
	}
	return rapid.SliceOfN(rapid.Custom(peer), 0, 2).Draw(t, "peers")
}

func somePorts(t *rapid.T) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, number := range rapid.SampledFrom([][]int32{nil, {80}, {80}, {80, 8080}, {53}}).Draw(t, "ports") {
		out = append(out, networkingv1.NetworkPolicyPort{Port: ptr.To(intstr.FromInt32(number))})
	}
	return out
}

func dnsRule(t *rapid.T) networkingv1.NetworkPolicyEgressRule {
	var rule networkingv1.NetworkPolicyEgressRule
	protocols := [][]corev1.Protocol{{corev1.ProtocolUDP}, {corev1.ProtocolUDP, corev1.ProtocolTCP}}
	for _, protocol := range rapid.SampledFrom(protocols).Draw(t, "protocols of DNS") {
		rule.Ports = append(rule.Ports, networkingv1.NetworkPolicyPort{Protocol: ptr.To(protocol), Port: ptr.To(intstr.FromInt32(53))})
	}
	if rapid.Bool().Draw(t, "DNS of the cluster") {
		rule.To = []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "kube-system"}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
		}}
	}
	if rapid.Bool().Draw(t, "DNS of the node") {
		rule.To = append(rule.To, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "169.254.20.10/32"}})
	}
	return rule
}

// podsOfApplications are one pod of each application, with a label of another policy or without, and of DNS.
func podsOfApplications() []*corev1.Pod {
	var out []*corev1.Pod
	add := func(namespace string, labels map[string]string) {
		i := len(out)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("pod-%d", i), Labels: labels}}
		pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, fmt.Sprintf("10.244.0.%d", i+1)
		pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
		out = append(out, pod)
	}
	for _, namespace := range []string{"one", "two"} {
		for _, name := range apps {
			add(namespace, map[string]string{"app": name})
		}
		add(namespace, map[string]string{"app": "web", "role": "canary"})
		add(namespace, nil)
	}
	add("kube-system", map[string]string{"k8s-app": "kube-dns"})
	return out
}

// What people write becomes AppTiers without any difference, whatever labels pods have: connections are said once
// where both halves are there, and only there.
func TestHalvesBecomeOne(t *testing.T) {
	folded, agreed, pods := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		before := reach.Snapshot{Policies: applications(t), Pods: podsOfApplications()}
		in := inputOf(before)
		in.Pods = nil // of which none is known: nothing may depend on which there are
		if rapid.Bool().Draw(t, "pods are known") {
			in = inputOf(before)
		}
		out, err := adopt.Import(t.Context(), in, proverOf(before))
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Differences.Changes) > 0 || wrongIn(out) > 0 {
			t.Fatalf("%v, %v", out.Differences.Changes, out.Stays)
		}
		after := before
		after.Policies = out.Policies
		for _, s := range out.Stays {
			after.Policies = append(after.Policies, s.Policy)
		}
		sameExceptListed(t, before, after, nil, false)
		for _, a := range out.AppTiers {
			if why := in.Refuses(a); why != "" {
				t.Fatalf("AppTier %s is refused: %s", a.Name, why)
			}
			for _, tier := range a.Spec.Tiers {
				for _, rule := range tier.Ingress {
					for _, peer := range rule.From {
						switch {
						case peer.Tier != nil:
							folded++
						case peer.AppTier != nil:
							agreed++
						case peer.Pods != nil:
							pods++
						}
					}
				}
			}
		}
	})
	if folded == 0 || agreed == 0 || pods == 0 {
		t.Errorf("%d connections from tiers, %d from other AppTiers, %d from pods: one of them is not tried", folded, agreed, pods)
	}
}
