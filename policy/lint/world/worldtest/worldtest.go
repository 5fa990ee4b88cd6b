// Package worldtest draws worlds, and a policy to be judged in each, for the tests of those who judge.
package worldtest

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// Draw draws a policy, and the world that it is to be judged in.
func Draw(t *rapid.T) (*world.View, world.World) {
	s := reachtest.Snapshot(reachtest.MaxPods(12)).Draw(t, "world")
	judged := reachtest.Policy("judged").Draw(t, "judged")
	if rapid.Bool().Draw(t, "named ports") {
		named := []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromString("http"))}}
		for i := range judged.Spec.Ingress {
			judged.Spec.Ingress[i].Ports = named
		}
		for i := range judged.Spec.Egress {
			judged.Spec.Egress[i].Ports = named
		}
	}
	if rapid.Bool().Draw(t, "every pod") {
		judged.Spec.PodSelector = metav1.LabelSelector{}
	}
	w := world.World{Whole: true, Known: world.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}, Namespaces: s.Namespaces,
		Pods: s.Pods}
	for _, policy := range s.Policies {
		switch rapid.IntRange(0, 3).Draw(t, "is") {
		case 0, 3:
			policy.Namespace = judged.Namespace
			w.Generated = append(w.Generated, policy)
		case 1:
			policy.Namespace, policy.Name = judged.Namespace, judged.Name // as it was
			fallthrough
		default:
			w.Policies = append(w.Policies, policy)
		}
	}
	return world.NewView(judged, world.NewIndex(w), new(check.Work)), w
}

// EachClause calls judge with every clause of the judged policy.
func EachClause(v *world.View, judge func(networkingv1.PolicyType, connset.Clause)) {
	for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
		for _, clause := range v.Policy.Clauses(direction) {
			judge(direction, clause)
		}
	}
}

// Often checks a property in which several objects must meet, which is rare.
func Often(t *testing.T, property func(*rapid.T)) {
	for range 10 {
		rapid.Check(t, property)
	}
}
