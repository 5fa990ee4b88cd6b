package agent

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/programmed"
	"github.com/apptier/apptier/policy/reach"
)

// reports is a cluster of nodes that report what they have committed, with an AppTier in each namespace, whose policies
// are those named "app".
type reports struct {
	version  int // of the API server's latest write
	policies map[string]*networkingv1.NetworkPolicy
	pods     map[string]*corev1.Pod
	// needed is the latest change of a policy of the AppTier of a namespace, by which the manager asks.
	needed  map[string]programmed.Version
	members []*member
	reports map[string]*v1alpha1.NodeReport
}

// member is a node, with the events that its watches have yet to show it.
type member struct {
	name     string
	store    *store
	compiler *compile.Compiler
	policies []func()
	pods     []func()
	// known are the objects that the store has been shown, and inKernel is the table that was committed, of known.
	known, committed reach.Snapshot
	inKernel         *compile.Ruleset
	written          programmed.Versions
	wrote            bool
}

func newReports() *reports {
	w := &reports{
		policies: map[string]*networkingv1.NetworkPolicy{}, pods: map[string]*corev1.Pod{},
		needed: map[string]programmed.Version{}, reports: map[string]*v1alpha1.NodeReport{},
	}
	for i := range 3 {
		m := &member{name: fmt.Sprintf("n%d", i)}
		w.members = append(w.members, m)
		w.restart(m)
	}
	return w
}

func (w *reports) write() string {
	w.version++
	return fmt.Sprint(w.version)
}

// restart begins anew, with what the API server lists now.
func (w *reports) restart(m *member) {
	m.store, m.compiler = newStore(m.name, func() {}, time.Now), compile.New(m.name)
	m.written, m.wrote = programmed.Versions{}, false
	w.list(m)
}

// list shows a node everything at once, as after its watches were lost.
func (w *reports) list(m *member) {
	m.policies, m.pods = nil, nil
	m.known.Policies, m.known.Pods = slices.Collect(maps.Values(w.policies)), slices.Collect(maps.Values(w.pods))
	_ = m.store.policies.Replace(objects(m.known.Policies), fmt.Sprint(w.version))
	_ = m.store.pods.Replace(objects(m.known.Pods), fmt.Sprint(w.version))
}

func (w *reports) setPolicy(t *rapid.T) {
	namespace := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "namespace")
	name := rapid.SampledFrom([]string{"app", "app2", "other"}).Draw(t, "name")
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: w.write()}}
	p.Spec.PodSelector.MatchLabels = map[string]string{"tier": rapid.SampledFrom([]string{"web", "db"}).Draw(t, "tier")}
	p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	if rapid.Bool().Draw(t, "open") {
		p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	}
	if was := w.policies[namespace+"/"+name]; was != nil && rapid.Bool().Draw(t, "an annotation only") {
		p.Spec = was.Spec
	}
	w.policies[namespace+"/"+name] = p
	w.changed(p)
	for _, m := range w.members {
		m.policies = append(m.policies, func() {
			m.known.Policies = append(without(m.known.Policies, p), p)
			_ = m.store.policies.Add(p)
		})
	}
}

func (w *reports) deletePolicy(t *rapid.T) {
	if len(w.policies) == 0 {
		return
	}
	key := rapid.SampledFrom(slices.Sorted(maps.Keys(w.policies))).Draw(t, "policy")
	p := w.policies[key].DeepCopy()
	delete(w.policies, key)
	p.ResourceVersion = w.write()
	w.changed(p)
	for _, m := range w.members {
		m.policies = append(m.policies, func() {
			m.known.Policies = without(m.known.Policies, p)
			_ = m.store.policies.Delete(p)
		})
	}
}

func (w *reports) changed(p *networkingv1.NetworkPolicy) {
	if p.Name != "other" {
		w.needed[p.Namespace] = programmed.ParseVersion(p.ResourceVersion)
	}
}

func (w *reports) changePod(t *rapid.T) {
	i := rapid.IntRange(0, 5).Draw(t, "pod")
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: []string{"a", "b"}[i%2], Name: fmt.Sprint("p", i), ResourceVersion: w.write(),
		Labels: map[string]string{"tier": rapid.SampledFrom([]string{"web", "db"}).Draw(t, "tier")},
	}}
	p.Spec.NodeName = rapid.SampledFrom([]string{"n0", "n1", "n2"}).Draw(t, "node")
	p.Status.PodIP = fmt.Sprint("10.0.0.", i+1)
	key := p.Namespace + "/" + p.Name
	_, was := w.pods[key]
	delete(w.pods, key)
	if !was {
		w.pods[key] = p
	}
	for _, m := range w.members {
		m.pods = append(m.pods, func() {
			if m.known.Pods = without(m.known.Pods, p); was {
				_ = m.store.pods.Delete(p)
				return
			}
			m.known.Pods = append(m.known.Pods, p)
			_ = m.store.pods.Add(p)
		})
	}
}

func without[T metav1.Object](list []T, gone T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(o T) bool {
		return o.GetNamespace() == gone.GetNamespace() && o.GetName() == gone.GetName()
	})
}

// sync commits what a node was told, whatever it is shown meanwhile, and writes the report if it is owed, unless that
// fails.
func (w *reports) sync(m *member, meanwhile func(), fails bool) {
	m.store.apply(m.compiler)
	rules := m.compiler.Ruleset()
	m.inKernel, m.committed = &rules, m.known
	meanwhile()
	commit := m.store.committed(m.compiler.LocalNamespaces(), m.written, nil)
	if fails || m.wrote && commit.Owed == programmed.Nothing {
		return
	}
	w.reports[m.name] = &v1alpha1.NodeReport{Status: v1alpha1.NodeReportStatus{
		Mode: v1alpha1.EnforcerEnforces, NetworkPolicies: commit.NetworkPolicies.String(),
	}}
	m.written, m.wrote = commit.Versions, true
	m.store.reported(commit.Versions)
}

// behind are the nodes that have not the policies of an AppTier, as the manager finds it.
func (w *reports) behind(namespace string) (desired, behind []*member) {
	need := programmed.Need{Versions: programmed.Versions{NetworkPolicies: w.needed[namespace]}, Enforced: true}
	for _, m := range w.members {
		if !slices.ContainsFunc(slices.Collect(maps.Values(w.pods)), func(p *corev1.Pod) bool {
			return p.Namespace == namespace && p.Spec.NodeName == m.name && w.selected(p)
		}) {
			continue
		}
		desired = append(desired, m)
		if verdict, _ := need.On(w.reports[m.name]); verdict != programmed.Programmed {
			behind = append(behind, m)
		}
	}
	return desired, behind
}

func (w *reports) selected(pod *corev1.Pod) bool {
	for _, p := range w.policies {
		if p.Name != "other" && p.Namespace == pod.Namespace && labels.SelectorFromSet(p.Spec.PodSelector.MatchLabels).Matches(labels.Set(pod.Labels)) {
			return true
		}
	}
	return false
}

// check: where the manager finds the AppTier programmed, the kernel has its policies as they are now, for all pods that
// the node knows.
func (w *reports) check(t *rapid.T) {
	for _, namespace := range []string{"a", "b"} {
		desired, behind := w.behind(namespace)
		if len(behind) > 0 {
			continue
		}
		for _, m := range desired {
			now := m.committed
			own := func(p *networkingv1.NetworkPolicy) bool { return p.Namespace == namespace && p.Name != "other" }
			now.Policies = slices.DeleteFunc(slices.Clone(now.Policies), own)
			for _, p := range w.policies {
				if own(p) {
					now.Policies = append(now.Policies, p)
				}
			}
			if diff := cmp.Diff(compile.Compile(now, m.name).Table(1), m.inKernel.Table(1)); diff != "" {
				t.Fatalf("%s has not the policies of %s (-policies +kernel):\n%s", m.name, namespace, diff)
			}
		}
	}
}

// Whatever the order of events, and whatever is lost: where reports say that the policies are in force, they are. And
// when everything was shown and written, they say so.
func TestReportsAreTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newReports()
		any := func(t *rapid.T) *member { return rapid.SampledFrom(w.members).Draw(t, "node") }
		t.Repeat(map[string]func(*rapid.T){
			"":                        w.check,
			"a policy comes":          w.setPolicy,
			"a policy goes":           w.deletePolicy,
			"a pod comes or goes":     w.changePod,
			"a pod comes or goes too": w.changePod,
			"a watch shows policies":  func(t *rapid.T) { m := any(t); m.policies = showSome(t, m.policies) },
			"a watch shows pods":      func(t *rapid.T) { m := any(t); m.pods = showSome(t, m.pods) },
			"a node syncs":            func(t *rapid.T) { w.sync(any(t), func() {}, false) },
			"a report fails":          func(t *rapid.T) { w.sync(any(t), func() {}, true) },
			"a node syncs while it is shown more": func(t *rapid.T) {
				m := any(t)
				w.sync(m, func() { m.policies = showSome(t, m.policies) }, false)
			},
			"a node lists again":   func(t *rapid.T) { w.list(any(t)) },
			"an enforcer restarts": func(t *rapid.T) { m := any(t); w.restart(m); w.sync(m, func() {}, false) },
		})
		for _, m := range w.members {
			for _, event := range slices.Concat(m.policies, m.pods) {
				event()
			}
			w.sync(m, func() {}, false)
		}
		w.check(t)
		for _, namespace := range []string{"a", "b"} {
			if _, behind := w.behind(namespace); len(behind) > 0 {
				t.Fatalf("%s has not reported the policies of %s", behind[0].name, namespace)
			}
		}
	})
}

// showSome shows some of the events that wait.
func showSome(t *rapid.T, events []func()) []func() {
	n := rapid.IntRange(0, len(events)).Draw(t, "how many")
	for _, event := range events[:n] {
		event()
	}
	return events[n:]
}

// A node without pods of a namespace has nothing to say about its policies, until a pod comes.
func TestWhatOthersDoIsNotReported(t *testing.T) {
	f, c := newStore("n", func() {}, time.Now), compile.New("n")
	replace(f, reach.Snapshot{})
	written := programmed.Versions{NetworkPolicies: 5}
	owed := func(happens func()) programmed.Debt {
		happens()
		f.apply(c)
		return f.committed(c.LocalNamespaces(), written, nil).Owed
	}
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", ResourceVersion: "6"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.PodSpec{NodeName: "n"}}
	for _, step := range []struct {
		name string
		do   func()
		want programmed.Debt
	}{
		{"a policy of another namespace", func() { _ = f.policies.Add(policy) }, programmed.Nothing},
		{"it changes", func() { changed := policy.DeepCopy(); changed.ResourceVersion = "7"; _ = f.policies.Update(changed) }, programmed.Nothing},
		{"a pod without an address", func() { _ = f.pods.Add(pod) }, programmed.Nothing},
		{"it gets one", func() { p := pod.DeepCopy(); p.Status.PodIP = "10.0.0.1"; _ = f.pods.Update(p) }, programmed.Now},
		{"that is reported", func() { written.NetworkPolicies = 7; f.reported(written) }, programmed.Nothing},
		{"a staged policy", func() {
			_ = f.staged.Add(&v1alpha1.StagedNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", ResourceVersion: "8"}})
		}, programmed.Now},
		{"that is reported", func() { written.StagedNetworkPolicies = 8; f.reported(written) }, programmed.Nothing},
		{"the policy goes", func() { p := policy.DeepCopy(); p.ResourceVersion = "9"; _ = f.policies.Delete(runtime.Object(p)) }, programmed.Now},
	} {
		if got := owed(step.do); got != step.want {
			t.Errorf("%s: owed %v, want %v", step.name, got, step.want)
		}
	}
}
