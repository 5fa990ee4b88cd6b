package learn_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/learn"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
	"github.com/apptier/apptier/policy/reach"
)

var (
	noon      = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	numbers   = []int32{53, 80, 443, 5432, 8080}
	protocols = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP}
	outside   = addresses("192.0.2.1", "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "10.200.0.1", "192.168.0.1",
		"172.16.0.1")
	node      = netip.MustParseAddr("192.168.0.1")
	apiServer = netip.MustParseAddr("172.16.0.1")
)

func addresses(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// world is workloads, of each a pod, and AppTiers for some of them.
type world struct {
	pods []learn.Pod
	apps []*v1alpha1.AppTier
	env  expand.Environment
}

var shapes = []map[string]string{
	{"app": "web"}, {"app": "web", "track": "canary"}, {"app.kubernetes.io/name": "api", "app.kubernetes.io/component": "server"},
	{"app.kubernetes.io/name": "api", "app.kubernetes.io/component": "worker"}, {"role": "db", "x": "1"}, {"anything": "else"},
}

func drawWorld(t *rapid.T) world {
	w := world{env: expand.DefaultEnvironment()}
	w.env.Nodes = []netip.Addr{node}
	w.env.APIServer = expand.APIServerOf(nil, nil)
	w.env.APIServer.Endpoints = []expand.Listener{{Addresses: []netip.Addr{apiServer}, Ports: portsOf(443)}}
	for _, namespace := range []string{"bank", "shop"} {
		for i := range rapid.IntRange(1, len(shapes)).Draw(t, "workloads") {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("w%d-0", i), Labels: shapes[i]}}
			one := learn.Pod{Pod: pod, Workload: fmt.Sprintf("w%d", i)}
			if rapid.Bool().Draw(t, "nameless") {
				one.Workload = ""
			}
			w.pods = append(w.pods, one)
		}
	}
	return w
}

// drawApps draws AppTiers for the pods of a namespace, in a mode.
func (w *world) drawApps(t *rapid.T) {
	for _, namespace := range []string{"bank", "shop"} {
		if rapid.Bool().Draw(t, "no AppTier") {
			continue
		}
		app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: namespace}}
		app.Spec.Mode = rapid.SampledFrom([]v1alpha1.Mode{v1alpha1.Audit, v1alpha1.Enforce}).Draw(t, "mode")
		var names []string
		for _, pod := range w.pods {
			if pod.Namespace == namespace && rapid.Bool().Draw(t, "is in a tier") {
				name := fmt.Sprintf("t%d", len(names))
				names = append(names, name)
				selector := metav1.LabelSelector{MatchLabels: pod.Labels}
				if pod.Labels["app"] != "" && pod.Labels["track"] == "" {
					selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "track", Operator: metav1.LabelSelectorOpDoesNotExist}}
				}
				app.Spec.Tiers = append(app.Spec.Tiers, v1alpha1.Tier{Name: name, PodSelector: selector, Ports: []v1alpha1.TierPort{{Port: 80}}})
			}
		}
		for i := range app.Spec.Tiers {
			tier := &app.Spec.Tiers[i]
			for range rapid.IntRange(0, 2).Draw(t, "rules") {
				tier.Ingress = append(tier.Ingress, v1alpha1.IngressRule{From: []v1alpha1.Peer{drawPeer(t, names)}, Ports: drawPorts(t)})
				tier.Egress = append(tier.Egress, v1alpha1.EgressRule{To: []v1alpha1.Peer{drawPeer(t, nil)}, Ports: drawPorts(t)})
			}
		}
		if len(names) > 0 {
			w.apps = append(w.apps, app)
		}
	}
}

func drawPorts(t *rapid.T) []v1alpha1.RulePort {
	return []v1alpha1.RulePort{{
		Port: intstr.FromInt32(rapid.SampledFrom(numbers).Draw(t, "port")), Protocol: rapid.SampledFrom(protocols).Draw(t, "protocol"),
	}}
}

func drawPeer(t *rapid.T, tiers []string) v1alpha1.Peer {
	peers := []v1alpha1.Peer{
		{Internet: &v1alpha1.InternetPeer{}}, {Nodes: &v1alpha1.NodesPeer{}}, {KubeAPIServer: &v1alpha1.KubeAPIServerPeer{}},
		{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{"10.200.0.1/32"}}},
		{Pods: &v1alpha1.PodsPeer{PodSelector: metav1.LabelSelector{MatchLabels: shapes[4]}}},
		{Namespaces: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "shop"}}},
	}
	for _, name := range tiers {
		peers = append(peers, v1alpha1.Peer{Tier: &name})
	}
	return rapid.SampledFrom(peers).Draw(t, "peer")
}

// evaluator answers what some AppTiers allow.
func (w world) evaluator(apps []*v1alpha1.AppTier) *reach.Evaluator {
	env := w.env
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	for _, app := range apps {
		env.AppTiers[kube.NameOf(app)] = app
	}
	var s reach.Snapshot
	for _, app := range apps {
		s.Policies = append(s.Policies, expand.NetworkPolicies(app, env)...)
	}
	for _, pod := range w.pods {
		s.Pods = append(s.Pods, pod.Pod, twin(pod.Pod))
	}
	return reach.New(s)
}

// twin is another pod of the same workload.
func twin(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.Name += "-twin"
	return pod
}

// flows are all that there could be: between pods, and with addresses.
func (w world) flows() []reach.Flow {
	var out []reach.Flow
	add := func(from, to reach.Endpoint) {
		for _, protocol := range protocols {
			for _, number := range numbers {
				out = append(out, reach.Flow{Source: from, Destination: to, Protocol: protocol, Port: number})
			}
		}
	}
	for _, pod := range w.pods {
		end := reach.Endpoint{Pod: kube.NameOf(pod.Pod)}
		for _, other := range w.pods {
			add(end, reach.Endpoint{Pod: kube.NameOf(twin(other.Pod))})
		}
		for _, address := range outside {
			add(end, reach.Endpoint{Address: address})
			add(reach.Endpoint{Address: address}, end)
		}
	}
	return out
}

func (w world) input(observations []learn.Observation) learn.Input {
	in := learn.Input{Observations: observations, AppTiers: w.apps, Environment: w.env, MinCount: 2, MostAddresses: 3}
	for _, pod := range w.pods {
		in.Pods = append(in.Pods, pod, learn.Pod{Pod: twin(pod.Pod), Workload: pod.Workload})
	}
	in.Nodes = []*corev1.Node{{
		ObjectMeta: metav1.ObjectMeta{Name: "n1"},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: node.String()}}},
	}}
	return in
}

func observed(f reach.Flow) learn.Observation {
	end := func(e reach.Endpoint) learn.End {
		return learn.End{Namespace: e.Pod.Namespace, Pod: e.Pod.Name, Address: e.Address}
	}
	return learn.Observation{
		Source: end(f.Source), Destination: end(f.Destination), Protocol: f.Protocol, Port: f.Port,
		Count: 3, First: noon, Last: noon.Add(time.Hour),
	}
}

// applied are the AppTiers as they are once those that were learned are applied.
func (w world) applied(out learn.Result) []*v1alpha1.AppTier {
	apps := slices.Clone(out.AppTiers)
	for _, app := range w.apps {
		if !slices.ContainsFunc(apps, func(a *v1alpha1.AppTier) bool { return kube.NameOf(a) == kube.NameOf(app) }) {
			apps = append(apps, app)
		}
	}
	return apps
}

// What is learned allows all that was seen, beside what was declared, and nothing else of those that were seen; but for
// the internet, of which many addresses are all. Learning the same again adds nothing.
func TestLearnsWhatWasSeenAlone(t *testing.T) {
	learned, changed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.drawApps(t)
		all := w.flows()
		var observations []learn.Observation
		seen := map[reach.Flow]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "flows") {
			f := rapid.SampledFrom(all).Draw(t, "flow")
			seen[f] = true
			observations = append(observations, observed(f))
		}
		out, err := learn.Learn(t.Context(), w.input(observations))
		if err != nil {
			t.Fatal(err)
		}
		learned, changed = learned+len(out.AppTiers), changed+len(out.Changed)
		for _, app := range out.AppTiers {
			for _, f := range lint.AppTier(app) {
				if f.Severity == check.Reject {
					t.Fatalf("%s is refused: %s", app.Name, f)
				}
			}
		}
		w.wantSeenAlone(t, seen, w.applied(out))
		w.apps = w.applied(out)
		again, err := learn.Learn(t.Context(), w.input(observations))
		if err != nil || len(again.AppTiers) > 0 {
			t.Fatalf("learning the same again: %v, %v", err, again.AppTiers)
		}
	})
	if learned == 0 || changed == 0 || learned == changed {
		t.Errorf("%d AppTiers, of which %d changed: one of them is not tried", learned, changed)
	}
}

func (w world) wantSeenAlone(t *rapid.T, seen map[reach.Flow]bool, apps []*v1alpha1.AppTier) {
	before, after := w.evaluator(w.apps), w.evaluator(apps)
	for _, f := range w.flows() {
		was, is := before.Allowed(f), after.Allowed(f)
		if seen[f] && is.Verdict != reach.Allow {
			t.Fatalf("%s -> %s %s %d was seen, and is denied: %s", f.Source, f.Destination, f.Protocol, f.Port, is)
		}
		// What isolates nobody yet allows everything, so that it is not asked what was allowed by that.
		isIsolated := !was.Egress.Isolated && is.Egress.Isolated || !was.Ingress.Isolated && is.Ingress.Isolated
		isNew := is.Verdict == reach.Allow && (was.Verdict == reach.Deny || isIsolated)
		if isNew && (is.Egress.Isolated || is.Ingress.Isolated) && !seen[f] && !w.isFolded(f, seen) {
			t.Fatalf("%s -> %s %s %d is allowed, and was not seen: %s", f.Source, f.Destination, f.Protocol, f.Port, is)
		}
	}
}

// isFolded says whether more addresses of the internet were seen on the other side than are named.
func (w world) isFolded(f reach.Flow, seen map[reach.Flow]bool) bool {
	n := 0
	for _, address := range outside {
		other := f
		if f.Source.Address.IsValid() {
			other.Source.Address = address
		} else {
			other.Destination.Address = address
		}
		if expand.IsInternet(address, nil) && seen[other] {
			n++
		}
	}
	return n > 3
}

func portsOf(numbers ...int32) []model.Port {
	var out []model.Port
	for _, number := range numbers {
		out = append(out, model.Port{Protocol: corev1.ProtocolTCP, Start: number})
	}
	return out
}
