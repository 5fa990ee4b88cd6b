package learn_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/learn"
)

// podOf is a pod of a workload of the namespace shop.
func podOf(workload, address string, set map[string]string) learn.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: workload + "-0", Labels: set}}
	pod.Spec.NodeName, pod.Status.PodIP = "n1", address
	return learn.Pod{Pod: pod, Workload: workload}
}

// shop is two workloads and a Service, on one of two nodes.
func shop() learn.Input {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}}
	service.Spec.ClusterIP, service.Spec.Selector = "10.96.0.5", map[string]string{"app": "db"}
	service.Spec.Ports = []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(5432)}}
	in := learn.Input{
		Pods:     []learn.Pod{podOf("web", "10.0.0.1", map[string]string{"app": "web"}), podOf("db", "10.0.0.2", map[string]string{"app": "db"})},
		Services: []*corev1.Service{service}, Environment: expand.DefaultEnvironment(), MinCount: 2, MostAddresses: 3,
	}
	for name, address := range map[string]string{"n1": "192.168.0.1", "n2": "192.168.0.2"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
		in.Nodes = append(in.Nodes, node)
	}
	return in
}

func endAt(text string) learn.End {
	if name, isPod := strings.CutPrefix(text, "pod/"); isPod {
		return learn.End{Namespace: "shop", Pod: name}
	}
	return learn.End{Address: addresses(text)[0]}
}

func seen(from, to string, port int32) learn.Observation {
	return learn.Observation{
		Source: endAt(from), Destination: endAt(to), Protocol: corev1.ProtocolTCP, Port: port, Count: 5, First: noon, Last: noon.Add(time.Minute),
	}
}

// rules are what an AppTier declares, a line for each peer and port that it rests on.
func rules(out learn.Result) string {
	var lines []string
	for _, g := range out.Grounds {
		direction := strings.ToLower(string(g.Direction))
		line := fmt.Sprintf("%s/%s %s %s %s %d: %d", g.AppTier.Name, g.Tier, direction, g.Peer, g.Protocol, g.Port, g.Seen.Count)
		if g.Doubtful {
			line += " doubtful"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestEnds(t *testing.T) {
	for _, test := range []struct {
		name     string
		from, to string
		port     int32
		want     string
	}{
		{"pods", "pod/web-0", "pod/db-0", 5432, "shop/db ingress web TCP 5432: 5"},
		{"pods by their addresses", "10.0.0.1", "10.0.0.2", 5432, "shop/db ingress web TCP 5432: 5"},
		{"a Service, whose pods have another port", "pod/web-0", "10.96.0.5", 80, "shop/db ingress web TCP 5432: 5"},
		{"an unknown port of a Service", "pod/web-0", "10.96.0.5", 81, ""},
		{"the internet", "pod/web-0", "203.0.113.9", 443, "shop/web egress 203.0.113.9 TCP 443: 5"},
		{"from the internet", "203.0.113.9", "pod/web-0", 443, "shop/web ingress 203.0.113.9 TCP 443: 5"},
		{"its own node", "192.168.0.1", "pod/web-0", 80, ""},
		{"another node", "192.168.0.2", "pod/web-0", 80, "shop/web ingress nodes TCP 80: 5"},
		{"DNS", "pod/web-0", "169.254.20.10", 53, ""},
		{"a port of DNS elsewhere", "pod/web-0", "203.0.113.9", 53, "shop/web egress 203.0.113.9 TCP 53: 5"},
		{"a pod that nobody knows", "pod/web-0", "pod/gone-0", 80, ""},
		{"itself", "pod/web-0", "pod/web-0", 80, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := shop()
			in.Observations = []learn.Observation{seen(test.from, test.to, test.port)}
			out, err := learn.Learn(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if got := rules(out); got != test.want {
				t.Errorf("learns\n%s\nnot\n%s", got, test.want)
			}
		})
	}
}

// Two nodes see a connection between them, and each counts it.
func TestNodesCountTheSame(t *testing.T) {
	in := shop()
	for _, node := range []string{"n1", "n2"} {
		o := seen("pod/web-0", "pod/db-0", 5432)
		o.Node, o.Count = node, 1
		in.Observations = append(in.Observations, o)
	}
	out, err := learn.Learn(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rules(out), "shop/db ingress web TCP 5432: 1 doubtful"; got != want {
		t.Errorf("learns %q, not %q", got, want)
	}
}

// A connection before and behind a Service has the same client.
func TestOneClientIsOneConnection(t *testing.T) {
	in := shop()
	for _, o := range []learn.Observation{seen("pod/web-0", "10.96.0.5", 80), seen("pod/web-0", "pod/db-0", 5432)} {
		o.Client, o.Count = 40001, 1
		in.Observations = append(in.Observations, o)
	}
	out, err := learn.Learn(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rules(out), "shop/db ingress web TCP 5432: 1 doubtful"; got != want {
		t.Errorf("learns %q, not %q", got, want)
	}
}

// Where an AppTier is enforced, a new tier of it would be isolated at once.
func TestNewTiersJoinWhatIsAudited(t *testing.T) {
	for mode, want := range map[v1alpha1.Mode]string{
		v1alpha1.Audit:   "shop/web ingress db TCP 80: 5",
		v1alpha1.Enforce: "shop/web ingress app=db TCP 80: 5\nshop-db/db egress app=web TCP 80: 5",
	} {
		in := shop()
		app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}}
		app.Spec.Mode = mode
		app.Spec.Tiers = []v1alpha1.Tier{{Name: "web", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}
		in.AppTiers = []*v1alpha1.AppTier{app}
		in.Observations = []learn.Observation{seen("pod/db-0", "pod/web-0", 80)}
		out, err := learn.Learn(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if got := rules(out); got != want {
			t.Errorf("mode %s: learns\n%s\nnot\n%s", mode, got, want)
		}
		if len(app.Spec.Tiers) != 1 || app.Spec.Tiers[0].Ingress != nil {
			t.Error("changes the AppTier that it is given")
		}
	}
}

// A selector finds the pods of its workload alone, however alike others are.
func TestSelectorsTellWorkloadsApart(t *testing.T) {
	in := shop()
	in.Pods = append(in.Pods, podOf("canary", "10.0.0.3", map[string]string{"app": "web", "track": "canary"}))
	for _, name := range []string{"web-0", "canary-0"} {
		in.Observations = append(in.Observations, seen("pod/"+name, "pod/db-0", 5432))
	}
	out, err := learn.Learn(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range out.AppTiers {
		for _, tier := range app.Spec.Tiers {
			selector, err := metav1.LabelSelectorAsSelector(&tier.PodSelector)
			if err != nil {
				t.Fatal(err)
			}
			found := slices.DeleteFunc(slices.Clone(in.Pods), func(p learn.Pod) bool { return !selector.Matches(labels.Set(p.Labels)) })
			if len(found) != 1 || found[0].Workload != tier.Name {
				t.Errorf("tier %s is %d pods", tier.Name, len(found))
			}
		}
	}
}

// What labels a namespace has, only its object says: where none is given, a rule that asks for labels, or for none, may or
// may not be about its pods, and so what was seen is declared by name.
func TestLabelsOfNamespacesAreNotMadeUp(t *testing.T) {
	for _, test := range []struct {
		name       string
		namespaces map[string]map[string]string
		want       string
	}{
		{"not given", nil, "shop/web ingress monitoring/app=scraper TCP 9090: 5"},
		{"without labels", map[string]map[string]string{"monitoring": nil}, ""},
		{"with another label", map[string]map[string]string{"monitoring": {"team": "a"}}, "shop/web ingress monitoring/app=scraper TCP 9090: 5"},
	} {
		in := shop()
		for name, set := range test.namespaces {
			in.Namespaces = append(in.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: set}})
		}
		scraper := podOf("scraper", "10.0.0.9", map[string]string{"app": "scraper"})
		scraper.Namespace = "monitoring"
		in.Pods = append(in.Pods, scraper)
		in.Learns = func(namespace string) bool { return namespace == "shop" }
		declared := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}}
		withoutTeam := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "team", Operator: metav1.LabelSelectorOpDoesNotExist},
		}}
		declared.Spec.Tiers = []v1alpha1.Tier{{
			Name: "web", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Ports:   []v1alpha1.TierPort{{Port: 9090}},
			Ingress: []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Namespaces: withoutTeam}}}},
		}}
		in.AppTiers = []*v1alpha1.AppTier{declared}
		in.Observations = []learn.Observation{seen("10.0.0.9", "pod/web-0", 9090)}
		out, err := learn.Learn(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if got := rules(out); got != test.want {
			t.Errorf("%s: learns\n%s\nnot\n%s", test.name, got, test.want)
		}
	}
}
