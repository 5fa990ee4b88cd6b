package reach_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/reach"
)

// claimant is one more pod of the world with a given address.
func claimant(namespace, app, node, address string, port int32) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "claims-it", Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{
			{Ports: []corev1.ContainerPort{{Name: "pg", ContainerPort: port}}},
		}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address},
	}
}

// shop/db is on node-2 and has 10.2.0.1, ops/admin is on node-1 and has 10.1.0.2. Policies are of the
// namespace shop.
func TestAnAddressThatSeveralPodsClaim(t *testing.T) {
	t.Parallel()
	const (
		closedDB  = `{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress]}`
		webMayGet = `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`
	)
	for _, test := range []struct {
		name     string
		seen     string
		claims   *corev1.Pod
		policies []string
		flows    []string
	}{
		{
			name: "seen by nobody, it may be either's", claims: claimant("ops", "db", "node-1", "10.2.0.1", 1),
			policies: []string{closedDB}, flows: []string{"8.8.8.8 10.2.0.1 80 Unknown"},
		},
		{
			name: "a claim elsewhere does not open a pod of this node", seen: "node-2", claims: claimant("ops", "x", "node-1", "10.2.0.1", 1),
			policies: []string{closedDB}, flows: []string{"8.8.8.8 10.2.0.1 80 Deny", "10.2.0.1 8.8.8.8 80 Deny"},
		},
		{
			name: "nor does it close one", seen: "node-1", claims: claimant("shop", "db", "node-2", "10.1.0.2", 1),
			policies: []string{closedDB}, flows: []string{"8.8.8.8 10.1.0.2 80 Allow"},
		},
		{
			name: "a claim of this node isolates too", seen: "node-1", claims: claimant("shop", "db", "node-1", "10.1.0.2", 1),
			policies: []string{closedDB}, flows: []string{"8.8.8.8 10.1.0.2 80 Deny", "10.1.0.2 8.8.8.8 80 Deny"},
		},
		{
			name: "each must allow", seen: "node-2", claims: claimant("shop", "web", "node-2", "10.2.0.1", 1),
			policies: []string{`{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}, {port: 81}]}]}`,
				`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 81}, {port: 82}]}]}`},
			flows: []string{"8.8.8.8 10.2.0.1 80 Deny", "8.8.8.8 10.2.0.1 81 Allow", "8.8.8.8 10.2.0.1 82 Deny"},
		},
		{
			name: "a forged label makes no peer of another's address", seen: "node-2", claims: claimant("shop", "web", "node-3", "10.1.0.2", 1),
			policies: []string{webMayGet}, flows: []string{"10.1.0.2 shop/db 80 Deny"},
		},
		{
			name: "a peer is one that all are", seen: "node-2", claims: claimant("shop", "web", "node-3", "10.1.0.1", 1),
			policies: []string{webMayGet}, flows: []string{"10.1.0.1 shop/db 80 Allow"},
		},
		{
			name: "of peers of this node, claims elsewhere take nothing", seen: "node-1", claims: claimant("ops", "x", "node-2", "10.1.0.1", 1),
			policies: []string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`},
			flows:    []string{"10.1.0.1 shop/db 80 Allow"},
		},
		{
			name: "a name is one that all give", seen: "node-2", claims: claimant("shop", "x", "node-2", "10.2.0.1", 6432),
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: pg}]}]}`},
			flows:    []string{"8.8.8.8 10.2.0.1 6432 Allow", "8.8.8.8 10.2.0.1 5432 Deny"},
		},
		{
			name: "it always reaches itself", seen: "node-2", claims: claimant("shop", "web", "node-2", "10.2.0.1", 1),
			policies: []string{closedDB}, flows: []string{"10.2.0.1 10.2.0.1 80 Allow"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := snapshot(t, test.policies...)
			s.Seen, s.Pods = test.seen, append(s.Pods, test.claims)
			for _, line := range test.flows {
				flow, want := parseFlow(t, line)
				if got := reach.Allowed(s, flow); got.Verdict != want {
					t.Errorf("%s\n%s", line, got)
				}
			}
		})
	}
}
