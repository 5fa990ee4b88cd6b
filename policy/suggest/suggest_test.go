package suggest_test

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
	"github.com/apptier/apptier/policy/suggest"
)

// drawApps draws at most one AppTier for a namespace, so that none is in another's way.
func drawApps(t *rapid.T) []*v1alpha1.AppTier {
	var apps []*v1alpha1.AppTier
	for _, namespace := range []string{"blue", "green", "red"} {
		if !rapid.Bool().Draw(t, "has AppTier") {
			continue
		}
		app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}}
		app.Spec.DNS.Mode = rapid.SampledFrom([]v1alpha1.DNSMode{"", v1alpha1.DNSNone}).Draw(t, "dns")
		app.Spec.Isolation.Scope = rapid.SampledFrom([]v1alpha1.IsolationScope{"", v1alpha1.ScopeNamespace}).Draw(t, "scope")
		if app.Spec.Isolation.Scope != "" {
			app.Spec.Isolation.SameNamespace = rapid.SampledFrom([]v1alpha1.SameNamespace{"", v1alpha1.SameNamespaceAllow}).Draw(t, "same namespace")
		}
		for _, label := range [][2]string{{"app", "web"}, {"app", "api"}, {"tier", "front"}} {
			if rapid.Bool().Draw(t, "has tier "+label[1]) {
				app.Spec.Tiers = append(app.Spec.Tiers, drawTier(t, label[1], label[0]))
			}
		}
		if len(check.WithSeverity(lint.AppTier(app), check.Reject)) == 0 {
			apps = append(apps, app)
		}
	}
	return apps
}

func drawTier(t *rapid.T, name, key string) v1alpha1.Tier {
	tier := v1alpha1.Tier{Name: name, PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{key: name}}}
	tier.Isolate = rapid.SampledFrom([][]v1alpha1.Direction{nil, {v1alpha1.Ingress}, {v1alpha1.Egress}}).Draw(t, "isolate")
	ports := []v1alpha1.RulePort{{Port: intstr.FromInt32(80)}}
	if rapid.Bool().Draw(t, "has ingress") {
		peer := rapid.SampledFrom([]v1alpha1.Peer{
			{Everyone: &v1alpha1.EveryonePeer{}},
			{AppTier: &v1alpha1.AppTierReference{Namespace: "green", Name: "app", Tier: "api"}},
			{Namespaces: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "one"}}},
		}).Draw(t, "from")
		tier.Ingress = []v1alpha1.IngressRule{{From: []v1alpha1.Peer{peer}, Ports: ports}}
	}
	if rapid.Bool().Draw(t, "has egress") {
		peer := rapid.SampledFrom([]v1alpha1.Peer{
			{Everyone: &v1alpha1.EveryonePeer{}},
			{AppTier: &v1alpha1.AppTierReference{Namespace: "blue", Name: "app", Tier: "web"}},
		}).Draw(t, "to")
		tier.Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{peer}, Ports: ports}}
	}
	return tier
}

// What is said to add, added, allows the flow; and with less than that, it stays denied.
func TestWhatIsAddedAllowsTheFlowAndNothingOfItCanBeLeftOut(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 5 { // few worlds have each kind
			checkAdditions(t, kinds)
		}
	})
	for _, kind := range []string{"IngressRule", "EgressRule", "Tier", "NetworkPolicy", "none"} {
		if kinds[kind] == 0 && !testing.Short() { // with -short, there are too few draws to ask
			t.Errorf("no %s was ever to be added, only %v", kind, slices.Sorted(maps.Keys(kinds)))
		}
	}
}

func checkAdditions(t *rapid.T, kinds map[string]int) {
	s := scene{apps: drawApps(t), snapshot: reachtest.Snapshot(reachtest.OnlyRunning()).Draw(t, "snapshot")}
	flow := reachtest.Packet(s.snapshot).Draw(t, "flow")
	if rapid.IntRange(0, 3).Draw(t, "without labels") == 0 {
		end := rapid.SampledFrom([]reach.Endpoint{flow.Source, flow.Destination}).Draw(t, "end without labels")
		for _, pod := range s.snapshot.Pods {
			if s.isEnd(pod, end) {
				pod.Labels = nil
			}
		}
	}
	world := s.world()
	before := reach.Allowed(world.Snapshot, flow)
	additions := suggest.For(world, flow)
	switch {
	case before.Verdict != reach.Deny && len(additions) > 0:
		t.Fatalf("%+v is not denied, and yet there is something to add: %+v", flow, additions)
	case before.Verdict != reach.Deny:
		return
	case len(additions) == 0 && len(suggest.Alike(world, flow)) > 0:
		kinds["none"]++
		return
	case len(additions) == 0:
		t.Fatalf("%+v is denied, and there is nothing to add: %s", flow, before)
	}
	if after := reach.Allowed(s.withAll(t, additions).Snapshot, flow); after.Verdict != reach.Allow {
		t.Fatalf("%+v is %s\nwith %s", flow, after, mustJSON(t, additions))
	}
	s.wantNoRejection(t, additions)
	s.wantNarrow(t, additions, flow)
	for i := range additions {
		kinds[kindOf(additions[i])]++
		fewer := slices.Delete(slices.Clone(additions), i, i+1)
		for j := range fewer { // the list may be without the one that made it
			fewer[j].First = fewer[j].First || additions[i].First && additions[i].Path == fewer[j].Path && additions[i].AppTier == fewer[j].AppTier
		}
		if after := reach.Allowed(s.withAll(t, fewer).Snapshot, flow); after.Verdict == reach.Allow {
			t.Fatalf("%+v is allowed without %s", flow, mustJSON(t, additions[i]))
		}
	}
}

// wantNoRejection asks the checks of admission about what is added, in the world that it is added to.
func (s scene) wantNoRejection(t *rapid.T, additions []suggest.Addition) {
	after := s.withAll(t, additions)
	known := world.World{
		Whole: true, Known: world.Parts{Namespaces: true, AppTiers: true, Pods: true, Policies: true},
		Namespaces: s.snapshot.Namespaces, Pods: s.snapshot.Pods, AppTiers: after.AppTiers,
	}
	for _, policy := range after.Snapshot.Policies {
		if world.IsGenerated(policy) {
			known.Generated = append(known.Generated, policy)
		} else {
			known.Policies = append(known.Policies, policy)
		}
	}
	before := known
	before.AppTiers = s.apps
	for i, app := range after.AppTiers {
		was, is := check.WithSeverity(lint.AppTierIn(s.apps[i], before), check.Reject), check.WithSeverity(lint.AppTierIn(app, known), check.Reject)
		if len(is) > len(was) {
			t.Fatalf("what is to be added is refused: %v\n%s", is, mustJSON(t, additions))
		}
	}
	for _, a := range additions {
		if a.Policy == nil {
			continue
		}
		if is := check.WithSeverity(lint.NetworkPolicy(a.Policy, known), check.Reject); len(is) > 0 {
			t.Fatalf("what is to be added is refused: %v\n%s", is, mustJSON(t, a))
		}
	}
}

func (s scene) withAll(t *rapid.T, additions []suggest.Addition) suggest.World {
	return s.with(t, additions).world()
}

func kindOf(a suggest.Addition) string {
	switch a.Item.(type) {
	case v1alpha1.IngressRule:
		return "IngressRule"
	case v1alpha1.EgressRule:
		return "EgressRule"
	case v1alpha1.Tier:
		return "Tier"
	default:
		return "NetworkPolicy"
	}
}

// What is added opens no connection but those of pods like the source to pods like the destination, on
// the port that was asked for, and it is said which. It closes none.
func TestWhatIsAddedOpensNothingElse(t *testing.T) {
	t.Parallel()
	opened := 0
	rapid.Check(t, func(t *rapid.T) {
		s := scene{apps: drawApps(t), snapshot: reachtest.Snapshot(reachtest.OnlyRunning(), reachtest.OnlyPodNetwork()).Draw(t, "snapshot")}
		flow := reachtest.Packet(s.snapshot).Draw(t, "flow")
		additions := suggest.For(s.world(), flow)
		said := map[reach.Flow]bool{}
		for _, other := range suggest.Opens(s.world(), s.world().With(additions), flow) {
			said[other] = true
		}
		before, after := reach.New(s.world().Snapshot), reach.New(s.withAll(t, additions).Snapshot)
		for _, source := range s.snapshot.Pods {
			for _, destination := range s.snapshot.Pods {
				for _, port := range []int32{flow.Port, 4711} {
					other := reach.Flow{Source: endpoint(source), Destination: endpoint(destination), Protocol: flow.Protocol, Port: port}
					was, is := before.Allowed(other).Verdict, after.Allowed(other).Verdict
					isMeant := port == flow.Port && s.isLike(source, flow.Source) && s.isLike(destination, flow.Destination)
					if was != is && !isMeant || was == reach.Allow && is != reach.Allow {
						t.Fatalf("%+v was %s and is %s, with what was added for %+v: %s", other, was, is, flow, mustJSON(t, additions))
					}
					isOpened := was != reach.Allow && is == reach.Allow && !s.isSame(other, flow)
					if isOpened != said[other] {
						t.Fatalf("%+v is opened: %t, and that is said: %t, with what was added for %+v: %s", other, isOpened, said[other], flow, mustJSON(t, additions))
					}
					if isOpened {
						opened++
					}
				}
			}
		}
	})
	if opened == 0 && !testing.Short() { // with -short, there are too few draws to ask
		t.Error("nothing was ever opened beside what was asked for: the property holds for no reason")
	}
}

// isSame says whether a flow is between the pods at the ends of another.
func (s scene) isSame(flow, asked reach.Flow) bool {
	is := func(end, asked reach.Endpoint) bool {
		return slices.ContainsFunc(s.snapshot.Pods, func(pod *corev1.Pod) bool { return endpoint(pod) == end && s.isEnd(pod, asked) })
	}
	return is(flow.Source, asked.Source) && is(flow.Destination, asked.Destination)
}

// isEnd says whether a pod is meant by an end, by its name or an address.
func (s scene) isEnd(pod *corev1.Pod, end reach.Endpoint) bool {
	return endpoint(pod).Pod == end.Pod || end.Address.IsValid() && pod.Status.PodIP == end.Address.String() ||
		end.Address.IsValid() && slices.ContainsFunc(pod.Status.PodIPs, func(ip corev1.PodIP) bool { return ip.IP == end.Address.String() })
}

func endpoint(pod *corev1.Pod) reach.Endpoint {
	return reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}}
}

// isLike says whether a pod has the labels of an end, or is in a tier with it.
func (s scene) isLike(pod *corev1.Pod, end reach.Endpoint) bool {
	for _, like := range s.snapshot.Pods {
		if !s.isEnd(like, end) || like.Namespace != pod.Namespace {
			continue
		}
		if labels.SelectorFromSet(suggest.StableLabels(like)).Matches(labels.Set(pod.Labels)) || s.shareTier(like, pod) {
			return true
		}
	}
	return false
}

func (s scene) shareTier(a, b *corev1.Pod) bool {
	for _, app := range s.apps {
		for _, tier := range app.Spec.Tiers {
			selector := labels.SelectorFromSet(tier.PodSelector.MatchLabels)
			if app.Namespace == a.Namespace && selector.Matches(labels.Set(a.Labels)) && selector.Matches(labels.Set(b.Labels)) {
				return true
			}
		}
	}
	return false
}
