package packets_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/internal/cli/packets"
	"github.com/apptier/apptier/internal/probe"
	"github.com/apptier/apptier/policy/reach"
)

// From where a connection is tried, and to where; or why it is not.
func TestMake(t *testing.T) {
	const stands = true
	for _, test := range []struct {
		from, to string
		change   func(*packets.Connection)
		want     string
	}{
		{"shop/web", "shop/api", nil, "in shop/web: tcp/10.0.0.2:80"},
		{"shop/web", "shop/both", nil, "in shop/web: tcp/10.0.0.3:80"},
		{"shop/six", "shop/both", nil, "in shop/six: tcp/[fd00::3]:80"},
		{"shop/web", "shop/six", nil, "the two have no address of one family"},
		{"shop/web", "203.0.113.7", nil, "in shop/web: tcp/203.0.113.7:80"},
		{"shop/web", "2001:db8::1", nil, "the source has no address of the family of 2001:db8::1"},
		{"10.0.0.1", "shop/api", nil, "in shop/web: tcp/10.0.0.2:80"},
		{"203.0.113.7", "shop/api", nil, "packets are sent from pods, and the source is none"},
		{"192.168.0.1", "shop/api", nil, "packets are sent from pods, and the source is none"},
		{"10.0.0.1", "shop/api", func(c *packets.Connection) { c.Stands = stands }, "packets are sent from pods, and the source is none"},
		{"shop/web", "1.0.0.1", func(c *packets.Connection) { c.Stands = stands }, "an address that stands for others is not bothered"},
		{"shop/web", "shop/api", func(c *packets.Connection) { c.Flow.Protocol = corev1.ProtocolSCTP }, "the probe does not speak SCTP"},
		{"shop/web", "shop/api", func(c *packets.Connection) { c.Flow.Protocol = corev1.ProtocolUDP }, "in shop/web: udp/10.0.0.2:80"},
		{"shop/web", "shop/pending", nil, "the destination's pod does not run"},
		{"shop/web", "shop/any pod", nil, "no pod of the destination runs"},
		{"shop/web", "shop/gone", nil, "no pod of the destination runs"},
		{"shop/gone", "shop/api", nil, "the source's pod is not there"},
		{"shop/pending", "shop/api", nil, "the source's pod does not run"},
		{"shop/leaving", "shop/api", nil, "the source's pod does not run"},
		{"shop/static", "shop/api", nil, "the source is a static pod, which takes no ephemeral container"},
		{"shop/windows", "shop/api", nil, "the source is a Windows pod, and the probe a program for Linux"},
		{"shop/sidecar", "shop/api", nil, "a mesh's proxy in the source's pod accepts every connection itself"},
		{"shop/ambient", "shop/api", nil, "a mesh's proxy in the source's pod accepts every connection itself"},
		{"shop/tired", "shop/api", nil, "the source's pod has 20 containers of earlier runs: replace the pod, and they are gone"},
		{"far/visitor", "shop/api", nil, "no case has a source in that namespace, and nothing is started there"},
		{"far/any pod", "shop/api", nil, "no case has a source in that namespace, and nothing is started there"},
		{"shop/any pod", "shop/api", nil, "made in shop: tcp/10.0.0.2:80"},
		{"shop/any pod app", "shop/api", nil, "pods with these labels run: another one could be taken for one of them"},
		{"nowhere/any pod", "shop/api", nil, "there is no such namespace"},
		{"going/any pod", "shop/api", nil, "the namespace is being deleted"},
	} {
		c := packets.Connection{Flow: flow(test.from, test.to, 80)}
		if test.change != nil {
			test.change(&c)
		}
		w := world()
		// Of the stand-ins with a label, the first alone: they have one name.
		w.Pods = slices.DeleteFunc(w.Pods, func(p *corev1.Pod) bool { return p.Name == "any pod app" && p.Labels["app"] != "web" })
		if got := placed(packets.Make(w, []packets.Connection{c}), 0); got != test.want {
			t.Errorf("%s -> %s: %q, want %q", test.from, test.to, got, test.want)
		}
	}
}

// A pod is made where nothing that runs could be taken for it, and nothing sends to it.
func TestMadeByLabels(t *testing.T) {
	for app, want := range map[string]string{
		"job":   "made in shop: tcp/10.0.0.2:80",
		"plain": "made in shop: tcp/10.0.0.2:80",
		"web":   "pods with these labels run: another one could be taken for one of them",
		"peer":  "the Service shop/peers sends to pods that are not ready",
	} {
		w := world()
		w.Pods = slices.DeleteFunc(w.Pods, func(p *corev1.Pod) bool { return p.Name == "any pod app" && p.Labels["app"] != app })
		plan := packets.Make(w, []packets.Connection{{Flow: flow("shop/any pod app", "shop/api", 80)}})
		if got := placed(plan, 0); got != want {
			t.Errorf("app=%s: %q, want %q", app, got, want)
		}
	}
}

// placed says where a connection of a plan is.
func placed(plan packets.Plan, i int) string {
	place := plan.Places[i]
	if place.NotTried != "" {
		return place.NotTried
	}
	job := plan.Jobs[place.Job]
	target := job.Order.Targets[place.Target].String()
	if job.New {
		return "made in " + job.Owner.Name + ": " + target
	}
	return "in " + job.Pod.Namespace + "/" + job.Pod.Name + ": " + target
}

// A pod gets one probe for all cases, up to what a probe takes, and tries a connection once, however often it is asked about.
func TestOneProbeAPod(t *testing.T) {
	var all []packets.Connection
	for port := range int32(probe.MostTargets + 50) {
		all = append(all, packets.Connection{Flow: flow("shop/web", "shop/api", port+1)})
	}
	all = append(all, packets.Connection{Flow: flow("shop/api", "shop/web", 80)},
		packets.Connection{Flow: flow("shop/web", "shop/api", 7), Named: true})
	plan := packets.Make(world(), all)
	var sizes []int
	for _, job := range plan.Jobs {
		sizes = append(sizes, len(job.Order.Targets))
	}
	if want := []int{probe.MostTargets, 50, 1}; !slices.Equal(sizes, want) {
		t.Errorf("probes of %d targets, want %d", sizes, want)
	}
	if again := plan.Places[len(all)-1]; again != plan.Places[6] {
		t.Errorf("the same connection is at %+v and %+v", plan.Places[6], again)
	}
	if !plan.Jobs[0].Named || plan.Jobs[1].Named {
		t.Errorf("a case names the first source, and not the second: %v, %v", plan.Jobs[0].Named, plan.Jobs[1].Named)
	}
	for i := range all {
		want := fmt.Sprintf(":%d", all[i].Flow.Port)
		if got := placed(plan, i); !strings.HasSuffix(got, want) {
			t.Errorf("connection %d is at %s, want the port %s", i, got, want)
		}
	}
}

// Of pods that are alike one is made, and tries for all.
func TestOneIsMadeOfEachKind(t *testing.T) {
	w := world()
	w.Pods = slices.DeleteFunc(w.Pods, func(p *corev1.Pod) bool { return strings.HasPrefix(p.Name, "any pod") })
	for _, name := range []string{"job[0]", "job[1]"} {
		like := standIn("shop", "app=job")
		like.Name = "labels/" + name
		w.Pods = append(w.Pods, like)
	}
	w.Pods = append(w.Pods, standIn("shop"))
	var all []packets.Connection
	for _, name := range []string{"labels/job[0]", "labels/job[1]", "any pod"} {
		from := reach.Endpoint{Pod: types.NamespacedName{Namespace: "shop", Name: name}}
		one := flow("shop/api", "shop/api", 80)
		one.Source = from
		all = append(all, packets.Connection{Flow: one})
	}
	plan := packets.Make(w, all)
	if len(plan.Jobs) != 2 || plan.Places[0] != plan.Places[1] || plan.Places[2].Job != 1 {
		t.Errorf("%d pods, and the connections are at %v", len(plan.Jobs), plan.Places)
	}
}

func TestOfEachFamily(t *testing.T) {
	w := world()
	podOf := func(name types.NamespacedName) *corev1.Pod {
		for _, p := range w.Pods {
			if p.Namespace == name.Namespace && p.Name == name.Name {
				return p
			}
		}
		return nil
	}
	w.Pods = append(w.Pods, pod("shop/dual", "10.0.0.11", "fd00::11"))
	for _, test := range []struct{ from, to, want string }{
		{"shop/dual", "shop/both", "10.0.0.11>10.0.0.3 fd00::11>fd00::3"},
		{"shop/web", "shop/both", "10.0.0.1>10.0.0.3"},
		{"shop/web", "shop/six", "invalid IP>invalid IP"},
		{"shop/any pod", "shop/both", "invalid IP>invalid IP"},
		{"shop/web", "203.0.113.7", "invalid IP>203.0.113.7"},
	} {
		var got []string
		for _, f := range packets.OfEachFamily(flow(test.from, test.to, 80), podOf) {
			got = append(got, f.Source.Address.String()+">"+f.Destination.Address.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s -> %s: %q, want %q", test.from, test.to, got, test.want)
		}
	}
}

// Of each workload one pod is chosen, one that can be tried from if there is one.
func TestOneOfEach(t *testing.T) {
	of := func(p *corev1.Pod, kind, name string) *corev1.Pod {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, Controller: ptr.To(true)}}
		p.Labels = map[string]string{"app": name, "apps.kubernetes.io/pod-index": p.Name}
		return p
	}
	pods := []*corev1.Pod{
		changed(of(pod("a/web-1"), "ReplicaSet", "web"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }),
		of(pod("a/web-2"), "ReplicaSet", "web"), of(pod("a/web-3"), "ReplicaSet", "web"),
		of(pod("b/web-4"), "ReplicaSet", "web"), of(pod("a/db-0"), "StatefulSet", "web"),
		changed(of(pod("a/db-1"), "StatefulSet", "web"), func(p *corev1.Pod) { p.Labels["role"] = "primary" }), pod("a/alone"), pod("a/alone2"), standIn("a"),
	}
	var got []string
	for _, p := range packets.OneOfEach(pods) {
		got = append(got, p.Namespace+"/"+p.Name)
	}
	if want := []string{"a/web-2", "b/web-4", "a/db-0", "a/db-1", "a/alone", "a/alone2", "a/any pod"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Who lacks a right is told which, if a case needs it; of everybody else it is said that they were not tried.
func TestWithout(t *testing.T) {
	plan := packets.Make(world(), []packets.Connection{
		{Flow: flow("shop/any pod", "shop/api", 80)},
		{Flow: flow("shop/web", "shop/api", 80), Named: true},
		{Flow: flow("shop/api", "shop/web", 80)},
	})
	var rights []string
	for _, right := range plan.Rights() {
		rights = append(rights, right.String())
	}
	want := []string{"create pods in namespace shop", "delete pods in namespace shop", "get pods in namespace shop",
		"patch pods/ephemeralcontainers in namespace shop"}
	if !slices.Equal(rights, want) {
		t.Fatalf("%q, want %q", rights, want)
	}
	_, err := plan.Without(plan.Rights()[2:])
	text := "you may not get pods in namespace shop, nor patch pods/ephemeralcontainers in namespace shop, which --packets needs"
	if err == nil || !strings.HasPrefix(err.Error(), text) {
		t.Errorf("%v, want %s", err, text)
	}
	less, err := plan.Without(plan.Rights()[:1])
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"you may not create pods in namespace shop", "in shop/web: tcp/10.0.0.2:80", "in shop/api: tcp/10.0.0.1:80",
	} {
		if got := placed(less, i); got != want {
			t.Errorf("connection %d: %q, want %q", i, got, want)
		}
	}
	if same, err := plan.Without(nil); err != nil || len(same.Jobs) != len(plan.Jobs) || !slices.Equal(same.Places, plan.Places) {
		t.Errorf("with all rights it is another plan: %+v, %v", same, err)
	}
}
