package kernel

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// Where the namespace is isolated, a connection that a tier declares is granted also if the tier isolates its
// egress alone; and nothing else is.
func TestANamespaceIsIsolatedAndATierItsEgressAlone(t *testing.T) {
	tier := func(name string) v1alpha1.Tier {
		return v1alpha1.Tier{Name: name, PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}}
	}
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "shop"}}
	app.Spec.Isolation.Scope = v1alpha1.ScopeNamespace
	app.Spec.Tiers = []v1alpha1.Tier{tier("a"), tier("b")}
	app.Spec.Tiers[0].Isolate = []v1alpha1.Direction{v1alpha1.Egress}
	app.Spec.Tiers[0].Ingress = []v1alpha1.IngressRule{{
		From: []v1alpha1.Peer{{Tier: ptr.To("b")}}, Ports: []v1alpha1.RulePort{{Port: intstr.FromInt32(80)}},
	}}
	if findings := check.WithSeverity(lint.AppTier(app), check.Reject); len(findings) > 0 {
		t.Fatal(findings)
	}
	eachWiring(t, func(t *testing.T, l labNode) {
		l.Listen(t, probePorts)
		snapshot := l.Shop()
		snapshot.Policies = expand.NetworkPolicies(app, expand.DefaultEnvironment())
		evaluator := reach.New(snapshot)
		for _, want := range []struct {
			from, to string
			port     int32
			verdict  reach.Verdict
		}{
			{"b", "a", 80, reach.Allow}, {"b", "a", 81, reach.Deny}, {"c", "a", 80, reach.Deny}, {"a", "b", 80, reach.Deny},
		} {
			flow := reach.Flow{Source: podOfApp(snapshot, want.from), Destination: podOfApp(snapshot, want.to), Protocol: corev1.ProtocolTCP, Port: want.port}
			if got := evaluator.Allowed(flow); got.Verdict != want.verdict {
				t.Errorf("%s to %s on %d: want %s, but %s", want.from, want.to, want.port, want.verdict, got)
			}
		}
		l.Load(t, snapshot, 1)
		l.check(t, snapshot, probePorts)
	})
}

// podOfApp is a pod of the namespace x on the node of the lab.
func podOfApp(s reach.Snapshot, app string) reach.Endpoint {
	for _, pod := range s.Pods {
		if pod.Namespace == "x" && pod.Labels["app"] == app && pod.Spec.NodeName == lab.NodeName {
			return reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}}
		}
	}
	return reach.Endpoint{}
}
