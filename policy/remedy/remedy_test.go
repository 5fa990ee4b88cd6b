package remedy_test

import (
	"encoding/json"
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
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
	"github.com/apptier/apptier/policy/remedy"
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
		if len(lint.WithSeverity(lint.AppTier(app), lint.Reject)) == 0 {
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

// scene is the world without the policies that its AppTiers stand for.
type scene struct {
	apps     []*v1alpha1.AppTier
	snapshot reach.Snapshot
}

func (s scene) world() remedy.World {
	env := expand.DefaultEnvironment()
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	for _, app := range s.apps {
		env.AppTiers[types.NamespacedName{Namespace: app.Namespace, Name: app.Name}] = app
	}
	snapshot := s.snapshot
	snapshot.Policies = slices.Clone(snapshot.Policies)
	for _, app := range s.apps {
		snapshot.Policies = append(snapshot.Policies, expand.NetworkPolicies(app, env)...)
	}
	return remedy.World{Snapshot: snapshot, AppTiers: s.apps, Environment: env}
}

// with adds what is said to add as people would: by the path, from what is printed.
func (s scene) with(t *rapid.T, additions []remedy.Addition) scene {
	out := scene{snapshot: s.snapshot}
	out.snapshot.Policies = slices.Clone(s.snapshot.Policies)
	for _, app := range s.apps {
		text := mustJSON(t, app)
		for _, a := range additions {
			if a.Policy == nil && a.AppTier.Namespace == app.Namespace && a.AppTier.Name == app.Name {
				text = appended(t, text, a)
			}
		}
		var changed v1alpha1.AppTier
		if err := json.Unmarshal(text, &changed); err != nil {
			t.Fatal(err)
		}
		if rejected := lint.WithSeverity(lint.AppTier(&changed), lint.Reject); len(rejected) > 0 {
			t.Fatalf("with what is to be added it is refused: %v", rejected)
		}
		out.apps = append(out.apps, &changed)
	}
	for _, a := range additions {
		if a.Policy != nil {
			out.snapshot.Policies = append(out.snapshot.Policies, a.Policy)
		}
	}
	return out
}

func mustJSON(t *rapid.T, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// appended appends an item to the list at a path.
func appended(t *rapid.T, text []byte, a remedy.Addition) []byte {
	var object map[string]any
	var item any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(mustJSON(t, a.Item), &item); err != nil {
		t.Fatal(err)
	}
	spec := object["spec"].(map[string]any)
	holder, field := spec, "tiers"
	var index int
	for _, direction := range []string{"ingress", "egress"} {
		for i := range 10 {
			if a.Path == "spec.tiers["+string(rune('0'+i))+"]."+direction {
				index, field = i, direction
				holder = spec["tiers"].([]any)[index].(map[string]any)
			}
		}
	}
	list, exists := holder[field].([]any)
	if exists == a.First {
		t.Fatalf("%s: the list exists: %t, and First is %t", a.Path, exists, a.First)
	}
	holder[field] = append(list, item)
	return mustJSON(t, object)
}

// What is said to add, added, allows the flow; and with less than that, it stays denied.
func TestWhatIsAddedAllowsTheFlowAndNothingOfItCanBeLeftOut(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := scene{apps: drawApps(t), snapshot: reachtest.Snapshot(reachtest.OnlyRunning()).Draw(t, "snapshot")}
		flow := reachtest.Packet(s.snapshot).Draw(t, "flow")
		world := s.world()
		before := reach.Allowed(world.Snapshot, flow)
		additions := remedy.For(world, flow)
		if before.Verdict != reach.Deny {
			if len(additions) > 0 {
				t.Fatalf("%+v is not denied, and yet there is something to add: %+v", flow, additions)
			}
			return
		}
		if len(additions) == 0 {
			t.Fatalf("%+v is denied, and there is nothing to add: %s", flow, before)
		}
		if after := reach.Allowed(s.withAll(t, additions).Snapshot, flow); after.Verdict != reach.Allow {
			t.Fatalf("%+v is %s\nwith %s", flow, after, mustJSON(t, additions))
		}
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
	})
	for _, kind := range []string{"IngressRule", "EgressRule", "Tier", "NetworkPolicy"} {
		if kinds[kind] == 0 && !testing.Short() { // with -short, there are too few draws to ask
			t.Errorf("no %s was ever to be added, only %v", kind, slices.Sorted(maps.Keys(kinds)))
		}
	}
}

func (s scene) withAll(t *rapid.T, additions []remedy.Addition) remedy.World {
	return s.with(t, additions).world()
}

func kindOf(a remedy.Addition) string {
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
// the port that was asked for. It closes none.
func TestWhatIsAddedOpensNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := scene{apps: drawApps(t), snapshot: reachtest.Snapshot(reachtest.OnlyRunning(), reachtest.OnlyPodNetwork()).Draw(t, "snapshot")}
		flow := reachtest.Packet(s.snapshot).Draw(t, "flow")
		additions := remedy.For(s.world(), flow)
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
				}
			}
		}
	})
}

func endpoint(pod *corev1.Pod) reach.Endpoint {
	return reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}}
}

// isLike says whether a pod has the labels of an end, or is in a tier with it.
func (s scene) isLike(pod *corev1.Pod, end reach.Endpoint) bool {
	for _, like := range s.snapshot.Pods {
		isEnd := endpoint(like).Pod == end.Pod || end.Address.IsValid() && like.Status.PodIP == end.Address.String() ||
			end.Address.IsValid() && slices.ContainsFunc(like.Status.PodIPs, func(ip corev1.PodIP) bool { return ip.IP == end.Address.String() })
		if !isEnd || like.Namespace != pod.Namespace {
			continue
		}
		if labels.SelectorFromSet(remedy.StableLabels(like)).Matches(labels.Set(pod.Labels)) || s.shareTier(like, pod) {
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
