package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"

	"github.com/apptier/apptier/policy/budget"
)

// allow is a policy of the namespace shop that lets a block in, at a port of its own.
func allow(name, block string, number int) *networkingv1.NetworkPolicy {
	port := intstr.FromInt(number)
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: "1"},
		Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{
			From:  []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: block}}},
			Ports: []networkingv1.NetworkPolicyPort{{Port: &port}},
		}}},
	}
}

// Whatever it is about a policy that the kernel does not take, the others are enforced; the policy
// isolates its pods and allows nothing, and its author hears of it.
func TestAPolicyThatTheKernelRefusesIsClosedAlone(t *testing.T) {
	kernel := newFaulty()
	s, c := newSyncer(kernel)
	recorder := events.NewFakeRecorder(10)
	s.Events = recorder
	mustSync(t, s)

	for i := range 20 {
		c.Policies = append(c.Policies, allow(fmt.Sprintf("good-%d", i), fmt.Sprintf("203.0.113.%d/32", i), 1000+i))
	}
	bad := allow("bad", "192.0.2.0/24", 80)
	c.Policies = append(c.Policies, bad)
	kernel.refuses = "192.0.2.0"
	if err := s.Sync(t.Context()); err == nil {
		t.Fatal("the kernel does not refuse")
	}
	mustSync(t, s) // from scratch
	rules := kernel.Dump()
	for i := range 20 {
		if !strings.Contains(rules, fmt.Sprintf("{ 203.0.113.%d }", i)) {
			t.Errorf("policy good-%d is not enforced", i)
		}
	}
	if kernel.Table.Maps["ingress4"].FindElement("10.0.0.1") == nil {
		t.Error("the pod is not isolated")
	}
	if got := metric(t, s, "policy_problems"); got != 1 {
		t.Errorf("%v problems counted, want 1", got)
	}
	select {
	case event := <-recorder.Events:
		if !strings.Contains(event, notEnforced) || !strings.Contains(event, "refuses") {
			t.Errorf("event %q", event)
		}
	default:
		t.Error("no event")
	}

	// It stays closed while it stays as it is, and gets another chance when it is changed.
	before := kernel.runs
	mustSync(t, s)
	if kernel.runs != before {
		t.Error("another transaction although nothing changed")
	}
	good := allow("bad", "198.51.100.7/32", 80)
	good.ResourceVersion = "2"
	c.Policies[len(c.Policies)-1] = good
	mustSync(t, s)
	if !strings.Contains(kernel.Dump(), "{ 198.51.100.7 }") {
		t.Error("the policy is not enforced although it was put right")
	}
	if got := metric(t, s, "policy_problems"); got != 0 {
		t.Errorf("%v problems counted, want none", got)
	}
}

// A kernel that refuses everything is not the fault of policies.
func TestAKernelThatRefusesEverythingClosesNoPolicy(t *testing.T) {
	kernel := newFaulty()
	s, _ := newSyncer(kernel)
	kernel.refuses = "table"
	for range 3 {
		if err := s.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "no policy is to blame") {
			t.Fatalf("got %v", err)
		}
	}
	kernel.refuses = ""
	mustSync(t, s)
	if got := metric(t, s, "policy_problems"); got != 0 {
		t.Errorf("%v problems counted, want none", got)
	}
}

// A policy that asks for too much is told once, by name, count and limit, however often the count changes;
// the others are enforced.
func TestAPolicyThatAsksForTooMuchIsToldOnce(t *testing.T) {
	kernel := newFaulty()
	s, c := newSyncer(kernel)
	s.Limits = budget.Defaults()
	s.Limits.Policy.Rules = 2
	recorder := events.NewFakeRecorder(10)
	s.Events = recorder
	others := append(c.Policies, allow("good", "203.0.113.1/32", 80))
	for rules := 3; rules < 6; rules++ {
		huge := allow("huge", "192.0.2.0/24", 80)
		for len(huge.Spec.Ingress) < rules {
			huge.Spec.Ingress = append(huge.Spec.Ingress, huge.Spec.Ingress[0])
		}
		c.Policies = append(slices.Clone(others), huge)
		mustSync(t, s)
		if got := metric(t, s, "policy_excess"); got != float64(rules) {
			t.Errorf("metric %v, want %d", got, rules)
		}
	}
	if rules := kernel.Dump(); strings.Contains(rules, "192.0.2.0") || !strings.Contains(rules, "{ 203.0.113.1 }") {
		t.Errorf("the table:\n%s", rules)
	}
	event := <-recorder.Events
	if want := "NetworkPolicy shop/huge has 3 rules, more than the 2 that a policy may have"; !strings.Contains(event, want) {
		t.Errorf("event %q, want %q", event, want)
	}
	if len(recorder.Events) > 0 {
		t.Errorf("another event: %q", <-recorder.Events)
	}
	c.Policies = others
	mustSync(t, s)
	if problems := metric(t, s, "policy_problems"); problems != 0 {
		t.Errorf("%v problems", problems)
	}
}
