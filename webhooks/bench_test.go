package webhooks

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/budget"
)

// Someone waits for every answer: how long, in a cluster of 20,000 pods and 5,000 policies in 500
// namespaces with an AppTier each, while ten pods change between requests. The kinds are creations;
// the mix is all of them, and updates.
func BenchmarkNetworkPolicy(b *testing.B) {
	c, random := largeCluster(), rand.New(rand.NewPCG(1, 1))
	v := NetworkPolicyValidator{Cluster: c, Judging: NewJudging(4), Limits: budget.Defaults()}
	kinds := judgedPolicies()
	var mix []request
	for _, kind := range kinds {
		created := request{policy: kind.policy, name: kind.name}
		updated := request{old: kind.policy.DeepCopy(), policy: kind.policy.DeepCopy(), name: kind.name}
		// What is there already: one of the hand-written policies of the cluster.
		updated.old.Name, updated.policy.Name, updated.old.Spec = "app.tier.app-6", "app.tier.app-6", networkingv1.NetworkPolicySpec{}
		mix = append(mix, created, updated)
		b.Run(kind.name, func(b *testing.B) { measure(b, c, v, random, created) })
	}
	b.Run("mix", func(b *testing.B) { measure(b, c, v, random, mix...) })
}

// request is what the API server asks; old is nil for a creation.
type request struct {
	old, policy *networkingv1.NetworkPolicy
	name        string
}

func measure(b *testing.B, c *Cluster, v NetworkPolicyValidator, random *rand.Rand, requests ...request) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var took, worked []time.Duration
	c.current()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		for range 10 {
			c.show(podOf(random.IntN(500), random.IntN(40)))
		}
		r := requests[i%len(requests)]
		b.StartTimer()
		start, before := time.Now(), threadTime(b)
		var err error
		if r.old == nil {
			_, err = v.ValidateCreate(b.Context(), r.policy)
		} else {
			_, err = v.ValidateUpdate(b.Context(), r.old, r.policy)
		}
		took, worked = append(took, time.Since(start)), append(worked, threadTime(b)-before)
		if isWidening := r.name[0] == '+'; isWidening != (err != nil) {
			b.Fatalf("%s: %v", r.name, err)
		}
	}
	for name, times := range map[string][]time.Duration{"ms": took, "cpu-ms": worked} {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, name+"-median")
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, name+"-p99")
	}
	b.ReportMetric(0, "ns/op") // these say more
}

// threadTime is the processor time of this thread: on a machine with other work, what a request takes
// says more about that.
func threadTime(b *testing.B) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		b.Fatal(err)
	}
	return time.Duration(now.Nano())
}

// judgedPolicies are policies of every kind. A name that starts with + is that of one that widens the
// AppTier of its namespace, and is refused.
func judgedPolicies() []request {
	labelled := func(labels ...string) *metav1.LabelSelector {
		selector := &metav1.LabelSelector{MatchLabels: map[string]string{}}
		for i := 0; i < len(labels); i += 2 {
			selector.MatchLabels[labels[i]] = labels[i+1]
		}
		return selector
	}
	number := []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(8080))}}
	servicePort := []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(80))}}
	byName := []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromString("http"))}}
	anyNamespace, tier, other := labelled(), "app-1", "app-7"
	from := func(app string, ports []networkingv1.NetworkPolicyPort, peers ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicySpec {
		return networkingv1.NetworkPolicySpec{PodSelector: *labelled("app", app), Ingress: []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: ports}}}
	}
	to := func(app string, ports []networkingv1.NetworkPolicyPort, peers ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicySpec {
		return networkingv1.NetworkPolicySpec{PodSelector: *labelled("app", app), PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
			Egress: []networkingv1.NetworkPolicyEgressRule{{To: peers, Ports: ports}}}
	}
	peer := func(namespaces, pods *metav1.LabelSelector) networkingv1.NetworkPolicyPeer {
		return networkingv1.NetworkPolicyPeer{NamespaceSelector: namespaces, PodSelector: pods}
	}
	notIn := func(key string, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: metav1.LabelSelectorOpNotIn, Values: values}}}
	}
	everywhere := func(spec networkingv1.NetworkPolicySpec) networkingv1.NetworkPolicySpec {
		for i := range 10 {
			spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{peer(anyNamespace, labelled("app", fmt.Sprint("app-", i)))}, Ports: number})
		}
		return spec
	}
	var out []request
	for name, spec := range map[string]networkingv1.NetworkPolicySpec{
		"+pods of the namespace":                       from(tier, number, peer(nil, labelled("app", "app-2"))),
		"+pods of another namespace":                   from(tier, number, peer(labelled(corev1.LabelMetadataName, "team-8"), labelled("app", "app-2"))),
		"+one app in every namespace":                  from(tier, number, peer(anyNamespace, labelled("app", "app-2"))),
		"one app in every namespace, beside AppTier":   from(other, number, peer(anyNamespace, labelled("app", "app-2"))),
		"to one app in every namespace":                to(other, number, peer(anyNamespace, labelled("app", "app-7"))),
		"to a service port in every namespace":         to(other, servicePort, peer(anyNamespace, labelled("app", "app-1"))),
		"to a named port in every namespace":           to(other, byName, peer(anyNamespace, labelled("app", "app-7"))),
		"+to a named port of a tier, everywhere":       to(tier, byName, peer(anyNamespace, nil)),
		"every pod of every namespace":                 from(other, number, peer(anyNamespace, nil)),
		"to every pod of every namespace":              to(other, number, peer(anyNamespace, nil)),
		"every namespace but some":                     from(other, number, peer(notIn("kubernetes.io/metadata.name", "team-1"), notIn("app", "app-1", "app-2"))),
		"a typing error in every namespace":            from(other, number, peer(anyNamespace, labelled("app", "app-2x"))),
		"a typing error in the namespace":              from(other, number, peer(labelled("kubernetes.io/metadata.name", "taem-8"), nil)),
		"what the AppTier declares, for every place":   from("app-0", number, peer(anyNamespace, labelled("app", "app-2"))),
		"ten apps, each in every namespace":            everywhere(networkingv1.NetworkPolicySpec{PodSelector: *labelled("app", other)}),
		"a named port that the AppTier declares":       to("app-0", byName, peer(anyNamespace, labelled("app", "app-2"))),
		"named ports from everywhere":                  from("app-0", byName, peer(anyNamespace, labelled("app", "app-2"))),
		"addresses":                                    to(other, number, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "203.0.113.0/24"}}),
		"nobody":                                       {PodSelector: *labelled("app", other), PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}},
		"a tier's egress to all that it may reach now": to("app-0", number, peer(anyNamespace, labelled("app", "app-2"))),
	} {
		out = append(out, request{name: name, policy: &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team-7", Name: "judged"}, Spec: spec}})
	}
	slices.SortFunc(out, func(a, b request) int { return slices.Compare([]byte(a.name), []byte(b.name)) })
	return out
}

func largeCluster() *Cluster {
	c := newCluster()
	for i := range 500 {
		namespace := fmt.Sprint("team-", i)
		c.show(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{corev1.LabelMetadataName: namespace}}},
			&v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}})
		for j := range 40 {
			c.show(podOf(i, j))
		}
		for j := range 10 {
			c.show(policyOf(namespace, j))
			app := fmt.Sprint("app-", j)
			c.show(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app}, Spec: corev1.ServiceSpec{
				Selector: map[string]string{"app": app}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}}})
		}
	}
	return c
}

// podOf is a pod as a workload makes it: each has a label of its own, as those of StatefulSets do.
func podOf(team, number int) *corev1.Pod {
	namespace, name := fmt.Sprint("team-", team), fmt.Sprintf("app-%d-%d", number%10, number/10)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{
			"app": fmt.Sprint("app-", number%10), "team": namespace, "release": "stable", "statefulset.kubernetes.io/pod-name": name,
		}},
		Spec:   corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: fmt.Sprintf("10.%d.%d.%d", team/250, team%250, number)}}},
	}
}

// policyOf is a policy of an AppTier's tier, or one beside it. Each lets the app before connect; that
// of the first tier lets one app do so from everywhere, and lets its own pods connect to it.
func policyOf(namespace string, number int) *networkingv1.NetworkPolicy {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("app.tier.app-", number)}}
	policy.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprint("app-", number)}}
	policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	peers := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprint("app-", (number+9)%10)}}}}
	ports := []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(8080))}}
	if number == 0 {
		peers = append(peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}, PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "app-2"}}})
		policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: peers, Ports: ports}}
	}
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: ports}}
	if number < 5 {
		generatedFrom("app", policy)
	}
	return policy
}

// heavyPolicy is within the budgets of enforcers, and too big to judge: its selector is in each of its clauses.
func heavyPolicy() *networkingv1.NetworkPolicy {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team-7", Name: "heavy"}}
	var peers []networkingv1.NetworkPolicyPeer
	for i := range 1500 {
		policy.Spec.PodSelector.MatchExpressions = append(policy.Spec.PodSelector.MatchExpressions,
			metav1.LabelSelectorRequirement{Key: fmt.Sprint("label-", i), Operator: metav1.LabelSelectorOpDoesNotExist})
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: fmt.Sprintf("203.%d.%d.0/24", i/256, i%256)}})
	}
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers}}
	return policy
}
