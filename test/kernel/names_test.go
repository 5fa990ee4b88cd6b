package kernel

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/kubernetes/fake"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/agent"
	flowskernel "github.com/apptier/apptier/enforcer/flows/kernel"
	"github.com/apptier/apptier/test/lab"
)

// Whoever asks a node hears which pods were denied, why and how often, when the agent was started anew as well: it begins
// from what the kernel holds, and counts nothing twice.
func TestDeniedConnectionsAreKnownByName(t *testing.T) {
	l := newLab(t, lab.Routed)
	snapshot := l.Shop()
	snapshot.Policies = []*networkingv1.NetworkPolicy{
		lab.Policy(t, "in", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress]}`),
		lab.Policy(t, "out", `{podSelector: {matchLabels: {app: b}}, policyTypes: [Egress]}`),
	}
	for i := range 2 {
		t.Run("", func(t *testing.T) {
			kernel := openNode(t, l.Node)
			a, err := agent.New(agent.Options{
				Node: lab.NodeName, Client: fake.NewClientset(objects(snapshot)...), Kernel: kernel,
				Reader: flowskernel.Reader{Kernel: kernel.Kernel}, Log: logr.Discard(),
			})
			lab.Must(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { a.Run(ctx); close(done) }()
			t.Cleanup(func() { cancel(); <-done })
			l.awaitRules(t)
			if i == 0 { // local-0 is labelled a, and local-1 b
				l.expect(t, []lab.Cell{
					{From: l.Host("local-2"), To: l.Host("local-0"), Protocol: "UDP", Port: 80},
					{From: l.Host("local-1"), To: l.Host("world-7"), Protocol: "UDP", Port: 80},
				}, false)
			}
			got, want := map[string]int64{}, map[string]int64{
				"x/local-2 → x/local-0: Ingress, in":                             1,
				"x/local-1 → " + l.Host("world-7").V4.String() + ": Egress, out": 1,
			}
			eventually(t, "the connections", func() bool {
				got = namesOf(a.Connections(t.Context(), "x", time.Time{}))
				return len(got) >= len(want)
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// namesOf are the counts of connections to port 80.
func namesOf(list connections.ConnectionList) map[string]int64 {
	out := map[string]int64{}
	name := func(e connections.End) string {
		if e.Pod == "" {
			return e.Address
		}
		return e.Namespace + "/" + e.Pod
	}
	for _, c := range list.Items {
		if c.Port == 80 && len(c.Because) == 1 {
			out[name(c.Source)+" → "+name(c.Destination)+": "+string(c.Direction)+", "+c.Because[0].Name] += c.Count
		}
	}
	return out
}
