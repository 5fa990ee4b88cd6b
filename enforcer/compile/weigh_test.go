package compile_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/reach"
)

// peering is a policy for all pods of the tenant's namespace with a rule of its own for each of so many peers,
// or with one rule for all, which select every pod of the cluster.
func peering(name string, peers int, each bool) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "ns-50", Name: name, UID: types.UID(name)}}
	rule := networkingv1.NetworkPolicyIngressRule{}
	for i := range peers {
		rule.From = append(rule.From, networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{},
			PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: fmt.Sprintf("no-%d", i), Operator: metav1.LabelSelectorOpDoesNotExist},
			}},
		})
		if each {
			port := intstr.FromInt(1000 + i)
			rule.Ports = []networkingv1.NetworkPolicyPort{{Port: &port}}
			p.Spec.Ingress, rule = append(p.Spec.Ingress, rule), networkingv1.NetworkPolicyIngressRule{}
		}
	}
	if !each {
		p.Spec.Ingress = append(p.Spec.Ingress, rule)
	}
	return p
}

// told is a compiler of node-7, where the tenant has a pod and others have theirs, that knows the cluster.
func told(pods int, policies ...*networkingv1.NetworkPolicy) *compile.Compiler {
	s := cluster(pods)
	s.Policies = append(s.Policies, policies...)
	c := compile.New("node-7")
	c.Tell(s)
	return c
}

func excess(c *compile.Compiler) map[string]*budget.ExceededError {
	out := map[string]*budget.ExceededError{}
	for _, p := range c.Problems() {
		var e *budget.ExceededError
		if errors.As(p, &e) {
			out[p.Policy] = e
		}
	}
	return out
}

// Policies of one tenant that ask for too much isolate his pods and allow nothing. They take neither memory
// nor room in the table, and what others' pods are under stays as it is.
func TestATenantThatAsksForTooMuchGetsNothing(t *testing.T) {
	const pods = 2000
	without := told(pods).Tracker().Table()
	for name, attack := range map[string]struct {
		policy *networkingv1.NetworkPolicy
		want   budget.Excess
	}{
		"peers in one rule":   {peering("attack", 8000, false), budget.Excess{Item: "peers", Count: 8000, Limit: 500}},
		"rules":               {peering("attack", 20_000, true), budget.Excess{Item: "rules", Count: 20_000, Limit: 500}},
		"pods that they mean": {peering("attack", 400, false), budget.Excess{Item: "addresses", Count: 400 * pods, Limit: 2000 + 32*pods}},
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			c := told(pods, attack.policy)
			table := c.Tracker().Table()
			if grown := heap() - before; grown > 64<<20 {
				t.Errorf("%d MiB", grown>>20)
			}
			e := excess(c)["ns-50/attack"]
			if e == nil || len(e.Excess) == 0 || e.Excess[0] != attack.want {
				t.Fatalf("got %v", e)
			}
			if more := len(table.Sets) - len(without.Sets); more > 0 {
				t.Errorf("%d sets more", more)
			}
			chain := chainOf(table, "ns-50/attack")
			if len(chain.Rules) != 2 { // of the other policy, and the end
				t.Errorf("rules: %v", chain.Rules)
			}
			runtime.KeepAlive(c)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// chainOf is the ingress chain of pods under a policy.
func chainOf(t nft.Table, policy string) nft.Chain {
	for name, chain := range t.Chains {
		if strings.HasPrefix(name, "ingress-ns-") && strings.Contains(chain.Comment, policy) {
			return chain
		}
	}
	return nft.Chain{}
}

// What a policy selects changes with the cluster: it is refused while it is too much, and no longer.
func TestAddressesAreCountedAsPodsComeAndGo(t *testing.T) {
	c := compile.New("node-7")
	limits := budget.Defaults()
	limits.Policy.Addresses = 1000
	c.Limit(limits)
	s := cluster(1000)
	s.Policies = append(s.Policies, peering("all", 1, false))
	c.Tell(s)
	if e := excess(c); len(e) > 0 {
		t.Fatalf("at the limit: %v", e)
	}
	c.SetPod(member(1000))
	if e := excess(c)["ns-50/all"]; e == nil || e.Excess[0] != (budget.Excess{Item: "addresses", Count: 1001, Limit: 1000}) {
		t.Fatalf("above the limit: %v", e)
	}
	c.DeletePod(member(0).Namespace, member(0).Name)
	if e := excess(c); len(e) > 0 {
		t.Fatalf("at the limit again: %v", e)
	}
}

// Each name of a port is a set of the pods that have it, and a tenant's pods have as many as he likes.
func TestNamesOfPortsAreCounted(t *testing.T) {
	const names, pods = 100, 20
	want := map[networkingv1.PolicyType]int{
		networkingv1.PolicyTypeEgress:  names * pods,
		networkingv1.PolicyTypeIngress: names, // of the pod that is here
	}
	for direction, count := range want {
		t.Run(string(direction), func(t *testing.T) {
			ports := make([]networkingv1.NetworkPolicyPort, names)
			container := corev1.Container{}
			for i := range ports {
				name := intstr.FromString(fmt.Sprintf("p-%d", i))
				ports[i].Port = &name
				container.Ports = append(container.Ports, corev1.ContainerPort{Name: name.StrVal, ContainerPort: int32(i + 1)})
			}
			p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "ns-50", Name: "names"}}
			p.Spec.PolicyTypes = []networkingv1.PolicyType{direction}
			p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: ports}}
			p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{Ports: ports}}
			if direction == networkingv1.PolicyTypeEgress {
				p.Spec.Ingress = nil
			} else {
				p.Spec.Egress = nil
			}
			c := compile.New("node-7")
			limits := budget.Defaults()
			limits.Policy.Addresses = count
			c.Limit(limits)
			c.SetNamespace(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns-50"}})
			pod := func(i int, node string) *corev1.Pod {
				address := fmt.Sprintf("10.0.0.%d", i+1)
				return &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Namespace: "ns-50", Name: fmt.Sprintf("pod-%d", i)},
					Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{container}},
					Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}},
				}
			}
			c.SetPod(pod(0, "node-7"))
			for i := range pods - 1 {
				c.SetPod(pod(i+1, "node-8"))
			}
			c.SetPolicy(p)
			if e := excess(c); len(e) > 0 {
				t.Fatalf("at the limit: %v", e)
			}
			c.SetPod(pod(pods, "node-7"))
			if e := excess(c)["ns-50/names"]; e == nil || e.Excess[0].Item != "addresses" || e.Excess[0].Count <= count {
				t.Fatalf("above the limit: %v", e)
			}
			if sets := c.Ruleset().Table(1).Sets; len(sets) > names {
				t.Errorf("%d sets of a policy that is refused", len(sets))
			}
			c.DeletePod("ns-50", fmt.Sprintf("pod-%d", pods))
			if e := excess(c); len(e) > 0 {
				t.Fatalf("at the limit again: %v", e)
			}
		})
	}
}

// The oldest policies of a namespace stay in force, whatever the younger ones are called; those of another
// namespace are not concerned.
func TestTheYoungestOfANamespaceAreRefused(t *testing.T) {
	var policies []*networkingv1.NetworkPolicy
	for i := range 6 {
		p := peering(fmt.Sprintf("%d", 9-i), 400, true)
		p.CreationTimestamp = metav1.NewTime(time.Unix(int64(i), 0))
		policies = append(policies, p)
	}
	limits := budget.Defaults()
	limits.Policy.Addresses, limits.Namespace.Addresses = 1<<30, 1<<30
	limits.Policy.Depth, limits.Namespace.Depth = 1<<20, 1<<20
	limits.Namespace.Peers = 10_000
	c := compile.New("node-7")
	c.Limit(limits)
	s := cluster(400)
	s.Policies = append(s.Policies, policies...)
	c.Tell(s)
	e := excess(c)
	if len(e) != 2 || e["ns-50/4"] == nil || e["ns-50/5"] == nil || !e["ns-50/4"].Namespace { // with the cluster's own
		t.Fatalf("got %v", e)
	}
}

// Peers that would be copied into a set for each of many ports are met one by one instead.
func TestCopiesOfPeersAreBounded(t *testing.T) {
	p := peering("copies", 8, false)
	from := p.Spec.Ingress[0].From
	p.Spec.Ingress = nil
	for i := range 400 {
		port := intstr.FromInt(1000 + 2*i)
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{
			From: from[i%2:], Ports: []networkingv1.NetworkPolicyPort{{Port: &port}},
		})
	}
	limits := budget.Defaults()
	limits.Policy.Peers, limits.Namespace.Peers, limits.Policy.Addresses = 10_000, 10_000, 20_000
	s := cluster(2000)
	s.Policies = append(s.Policies, p)
	c := compile.New("node-7")
	c.Limit(limits)
	c.Tell(s)
	if got := c.Tracker().Table().Elements(); got > 50_000 || len(excess(c)) > 0 {
		t.Errorf("%d elements, %v", got, excess(c))
	}
}

// One policy of 8,000 peers in a cluster of 2,000 pods, and one of 20,000 rules: from nothing to the table.
func BenchmarkATenantThatAsksForTooMuch(b *testing.B) {
	for name, p := range map[string]*networkingv1.NetworkPolicy{
		"none": nil, "8000 peers": peering("attack", 8000, false), "20000 rules": peering("attack", 20_000, true),
		"all that is allowed": peering("attack", 30, false),
	} {
		b.Run(name, func(b *testing.B) {
			s := cluster(2000)
			if p != nil {
				s.Policies = append(s.Policies, p)
			}
			before := heap()
			var c *compile.Compiler
			for b.Loop() {
				c = compile.New("node-7")
				c.Tell(s)
				c.Tracker()
			}
			b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
			started := time.Now()
			const events = 100
			for i := range events {
				c.SetPod(elsewhere(s, i))
				c.Tracker()
			}
			b.ReportMetric(float64(time.Since(started).Microseconds())/events, "us/event")
		})
	}
}

// elsewhere is a pod of another node, with another address each time.
func elsewhere(s reach.Snapshot, i int) *corev1.Pod {
	p := s.Pods[0].DeepCopy()
	p.Status.PodIP = fmt.Sprintf("10.99.0.%d", i+1)
	return p
}
