package kernel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// huge is a policy of the namespace x for its pods app=b, with so many rules of so many peers each, which
// select all pods. Each rule has a port of its own.
func huge(rules, peers int) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "huge"}}
	p.Spec.PodSelector.MatchLabels = map[string]string{"app": "b"}
	for i := range rules {
		port := intstr.FromInt(80 + 2*i)
		rule := networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{{Port: &port}}}
		for n := range peers {
			rule.From = append(rule.From, networkingv1.NetworkPolicyPeer{
				NamespaceSelector: &metav1.LabelSelector{},
				PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: fmt.Sprintf("not-%d-%d", i, n), Operator: metav1.LabelSelectorOpDoesNotExist},
				}},
			})
		}
		p.Spec.Ingress = append(p.Spec.Ingress, rule)
	}
	return p
}

// One tenant's policy that asks for too much isolates his pods, and allows nothing; the kernel gets next to
// nothing of it, and what others write takes effect as before.
func TestATenantThatAsksForTooMuchStopsNobodyElse(t *testing.T) {
	t.Parallel()
	l := newLab(t, lab.Routed)
	l.Listen(t, probePorts)
	good := lab.Policy(t, "good", `{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {matchLabels: {app: c}}}]}]}`)
	for _, attack := range []struct {
		name   string
		policy *networkingv1.NetworkPolicy
		want   string
	}{
		{"8,000 peers", huge(1, 8000), "NetworkPolicy x/huge has 8000 peers, more than the 500"},
		{"20,000 rules", huge(20_000, 1), "NetworkPolicy x/huge has 20000 rules, more than the 500"},
	} {
		t.Run(attack.name, func(t *testing.T) {
			snapshot := l.Shop()
			snapshot.Policies = []*networkingv1.NetworkPolicy{good}
			address := freeAddress(t)
			api := fake.NewClientset(objects(snapshot)...)
			l.runWith(t, api, agent.Options{Node: lab.NodeName, Log: logr.Discard(), MetricsAddress: address})
			l.awaitRules(t)
			before := l.size(t)
			create(t, api, attack.policy)
			eventually(t, "the policy is reported", func() bool {
				return eventSays(t, api, attack.want) && strings.Contains(scrape(t, "http://"+address+"/metrics"), `apptier_enforcer_policy_excess{`)
			})
			closed := snapshot
			closed.Policies = []*networkingv1.NetworkPolicy{good, lab.Policy(t, "huge", `{podSelector: {matchLabels: {app: b}}}`)}
			l.check(t, closed, probePorts)
			if after := l.size(t); after > before+5 { // a chain, and the pod's elements
				t.Errorf("the table has grown from %d chains, sets and elements to %d", before, after)
			}

			opened := lab.Policy(t, "good", `{podSelector: {matchLabels: {app: a}}, ingress: [{}]}`)
			put(t, api, opened)
			closed.Policies[0] = opened
			cell := []lab.Cell{{From: l.Host("world-7"), To: l.Host("local-0"), Protocol: corev1.ProtocolTCP, Port: 80}}
			eventually(t, "the other policy is enforced", func() bool { return l.Probe(t, cell, 50*time.Millisecond)[0] })
			l.check(t, closed, probePorts)
		})
	}
}

func create(t *testing.T, client kubernetes.Interface, p *networkingv1.NetworkPolicy) {
	t.Helper()
	_, err := client.NetworkingV1().NetworkPolicies(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{})
	lab.Must(t, err)
}

// eventSays tells whether a warning says this of a policy.
func eventSays(t *testing.T, client kubernetes.Interface, what string) bool {
	t.Helper()
	events, err := client.EventsV1().Events("").List(t.Context(), metav1.ListOptions{})
	lab.Must(t, err)
	return slices.ContainsFunc(events.Items, func(e eventsv1.Event) bool {
		return e.Type == corev1.EventTypeWarning && strings.Contains(e.Note, what)
	})
}

// BenchmarkWhatOneTenantMayTake is a pod elsewhere that comes or goes while one namespace has all that it
// may: no transaction, and no event of anybody else, takes long for it.
func BenchmarkWhatOneTenantMayTake(b *testing.B) {
	for _, shape := range []struct {
		name            string
		policies, rules int
		peers           int
	}{{"nothing", 0, 0, 0}, {"as many peers", 4, 250, 1}, {"twice as many", 4, 250, 2}, {"peers of few rules", 4, 25, 10}} {
		b.Run(shape.name, func(b *testing.B) {
			l := newLab(b, lab.Routed)
			snapshot := l.Shop()
			for i := range shape.policies {
				p := huge(shape.rules, shape.peers)
				p.Name = fmt.Sprint(i)
				for r := range p.Spec.Ingress { // each policy has ports and peers of its own
					*p.Spec.Ingress[r].Ports[0].Port = intstr.FromInt(1000 + 2*(i*shape.rules+r))
					for n := range p.Spec.Ingress[r].From {
						s := p.Spec.Ingress[r].From[n].PodSelector
						s.MatchExpressions[0].Key += fmt.Sprintf("-%d", i)
						s.MatchLabels = map[string]string{"app": "another"}
					}
				}
				snapshot.Policies = append(snapshot.Policies, p)
			}
			snapshot.Policies = append(snapshot.Policies, lab.Policy(b, "other", `{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {}}]}]}`))
			change := func(c *compile.Compiler) {
				c.Tell(reach.Snapshot{Nodes: snapshot.Nodes, Namespaces: snapshot.Namespaces, Pods: snapshot.Pods})
			}
			s := &agent.Syncer{
				Node: lab.NodeName, Kernel: openNode(b, l.Node), Feed: func(c *compile.Compiler) { change(c) },
				Metrics: agent.NewMetrics(), Log: logr.Discard(),
			}
			lab.Must(b, s.Sync(b.Context()))
			change = func(c *compile.Compiler) {
				for _, p := range snapshot.Policies {
					c.SetPolicy(p)
				}
			}
			started := time.Now()
			lab.Must(b, s.Sync(b.Context()))
			b.ReportMetric(float64(time.Since(started).Milliseconds()), "ms/whole")
			h := lab.Host{Name: "another", Kind: lab.RemotePod}
			h.V4 = l.Host("world-7").V4
			last := lab.Pod(h, "y", map[string]string{"app": "another"}) // the peers select no other
			last.Status.PodIP, last.Status.PodIPs = "10.99.0.1", nil
			for i := 0; b.Loop(); i++ {
				change = func(c *compile.Compiler) { c.SetPod(last) }
				if i%2 == 1 {
					change = func(c *compile.Compiler) { c.DeletePod(last.Namespace, last.Name) }
				}
				lab.Must(b, s.Sync(b.Context()))
			}
		})
	}
}

// size counts what the kernel holds of the table.
func (l labNode) size(t *testing.T) int {
	t.Helper()
	var contents nft.Contents
	kernel := openNode(t, l.Node)
	contents, err := kernel.Contents(context.Background(), true)
	lab.Must(t, err)
	n := len(contents.Chains) + len(contents.Sets)
	for _, elements := range contents.Sets {
		n += len(elements)
	}
	return n
}
