package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

func drawWorld(t *rapid.T, options ...reachtest.Option) (reach.Snapshot, world.World) {
	s := reachtest.Snapshot(options...).Draw(t, "world")
	return s, world.World{
		Whole: true, Known: world.Parts{Namespaces: true, Pods: true, Services: true, Policies: true},
		Namespaces: s.Namespaces, Pods: s.Pods, Policies: s.Policies,
	}
}

func has(findings []check.Finding, id check.ID) bool {
	return slices.ContainsFunc(findings, func(f check.Finding) bool { return f.Check == id })
}

// What is called redundant can be removed: no flow is judged otherwise without it. Few policies are, so that
// several worlds are drawn at a time.
func TestWhatIsRedundantChangesNothing(t *testing.T) {
	redundant := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			redundant += checkRedundant(t)
		}
	})
	t.Logf("%d policies were redundant", redundant)
	if redundant == 0 {
		t.Error("nothing was ever redundant: the property holds for no reason")
	}
}

// checkRedundant returns how many policies of a world are redundant.
func checkRedundant(t *rapid.T) (redundant int) {
	s, world := drawWorld(t)
	for i, policy := range s.Policies {
		if !has(lint.NetworkPolicy(policy, world), netpol.Redundant) {
			continue
		}
		redundant++
		without := s
		without.Policies = slices.Delete(slices.Clone(s.Policies), i, i+1)
		for range 10 {
			flow := reachtest.Packet(s).Draw(t, "flow")
			if with, less := reach.Allowed(s, flow), reach.Allowed(without, flow); with.Verdict != less.Verdict {
				t.Fatalf("%+v\nwith %s\nwithout %s", flow, with, less)
			}
		}
	}
	return redundant
}

// What is called half open does not come about: no flow that this peer of this rule allows passes the
// policies of the other end.
func TestWhatIsHalfOpenDoesNotComeAbout(t *testing.T) {
	halfOpen := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 5 { // few are
			halfOpen += checkHalfOpen(t)
		}
	})
	if halfOpen == 0 {
		t.Error("nothing was ever half open: the property holds for no reason")
	}
}

// checkHalfOpen returns how many peers of a world are half open.
func checkHalfOpen(t *rapid.T) (halfOpen int) {
	s, world := drawWorld(t, reachtest.OnlyRunning(), reachtest.OnlyPodNetwork())
	for _, policy := range s.Policies {
		for _, finding := range lint.NetworkPolicy(policy, world) {
			if finding.Check != netpol.HalfOpen {
				continue
			}
			halfOpen++
			alone := s
			alone.Policies = []*networkingv1.NetworkPolicy{only(t, policy, string(finding.Path))}
			for range 20 {
				flow := reachtest.Packet(s).Draw(t, "flow")
				by := reach.Allowed(alone, flow)
				isBy := by.Egress.AllowedBy != nil || by.Ingress.AllowedBy != nil
				isOfPods := flow.Source.Pod != (types.NamespacedName{}) && flow.Destination.Pod != (types.NamespacedName{})
				if isBy && isOfPods && flow.Source.Pod != flow.Destination.Pod && reach.Allowed(s, flow).Verdict == reach.Allow {
					t.Fatalf("%s of %s: %+v passes by %s", finding, policy.Name, flow, by)
				}
			}
		}
	}
	return halfOpen
}

// only returns the policy with nothing in it but the peer, or the rule for everyone, at a path.
func only(t *rapid.T, policy *networkingv1.NetworkPolicy, path string) *networkingv1.NetworkPolicy {
	policy = policy.DeepCopy()
	var rule, peer int
	if n, _ := fmt.Sscanf(path, "spec.ingress[%d].from[%d]", &rule, &peer); n == 2 {
		in := policy.Spec.Ingress[rule]
		in.From = in.From[peer : peer+1]
		policy.Spec.Ingress, policy.Spec.Egress = []networkingv1.NetworkPolicyIngressRule{in}, nil
		policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		return policy
	}
	if n, _ := fmt.Sscanf(path, "spec.egress[%d].to[%d]", &rule, &peer); n == 2 {
		out := policy.Spec.Egress[rule]
		out.To = out.To[peer : peer+1]
		policy.Spec.Ingress, policy.Spec.Egress = nil, []networkingv1.NetworkPolicyEgressRule{out}
		policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
		return policy
	}
	t.Fatalf("%s is no peer", path)
	return nil
}

// Whoever is said to be without DNS is: no policy lets the pod reach a server.
func TestWhoIsSaidToLackDNSCannotReachIt(t *testing.T) {
	missing := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 5 { // few are
			missing += checkLackOfDNS(t)
		}
	})
	if missing == 0 {
		t.Error("nobody ever lacked DNS: the property holds for no reason")
	}
}

// checkLackOfDNS returns how many pods of a world are said to be without DNS.
func checkLackOfDNS(t *rapid.T) (missing int) {
	s, world := drawWorld(t, reachtest.OnlyRunning(), reachtest.OnlyPodNetwork(), reachtest.OnlyDualStack())
	server := rapid.SampledFrom(s.Pods).Draw(t, "server")
	server.Labels["k8s-app"] = "kube-dns"
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: server.Namespace, Name: "kube-dns", Labels: server.Labels}}
	service.Spec.Selector = map[string]string{"k8s-app": "kube-dns"}
	world.Services = append(world.Services, service)
	for _, policy := range s.Policies {
		for _, finding := range lint.NetworkPolicy(policy, world) {
			who, _, named := strings.Cut(finding.Message, " may open connections")
			namespace, name, isPod := strings.Cut(who, "/")
			if finding.Check != netpol.DNSMissing || !named || !isPod {
				continue
			}
			missing++
			flow := reach.Flow{Protocol: corev1.ProtocolUDP, Port: 53,
				Source:      reach.Endpoint{Pod: types.NamespacedName{Namespace: namespace, Name: name}},
				Destination: reach.Endpoint{Pod: types.NamespacedName{Namespace: server.Namespace, Name: server.Name}}}
			if result := reach.Allowed(s, flow); flow.Source.Pod != flow.Destination.Pod && result.Egress.Verdict != reach.Deny {
				t.Fatalf("%s\n%s", finding, result)
			}
		}
	}
	return missing
}
