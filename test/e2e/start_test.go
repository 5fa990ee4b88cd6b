package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/scenario"
)

const (
	allowed   = "203.0.113.30"
	forbidden = "203.0.113.20"
	dialPort  = 443
	starters  = "starters" // the namespace of pods that connect with their first instruction
	burst     = 20         // how many of them start at once
)

// outcome is what a dialer tells: of the allowed place, then of the forbidden one.
type outcome struct {
	Connected bool          `json:"connected"`
	Took      time.Duration `json:"took"`
	Repeated  uint32        `json:"repeated"`
}

// arrived are how many packets came to the two places, and how many of them were datagrams to the first.
type arrived struct{ Forbidden, Datagrams int }

// prepareStarters makes the two places, which count what comes to them, and a namespace whose policy is
// in force before any pod of it starts.
func prepareStarters(ctx context.Context) {
	GinkgoHelper()
	tar, err := build.GoImage{Ref: "apptier/dialer:e2e", Module: "test", Package: "./e2e/dialer"}.Write(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(kube.Load(ctx, tar)).To(Succeed())
	for _, place := range []string{allowed, forbidden} {
		outside, err := kube.Outside(netip.MustParseAddr(place))
		Expect(err).NotTo(HaveOccurred())
		serving, stop := context.WithCancel(context.WithoutCancel(ctx))
		DeferCleanup(stop)
		Expect(outside.Serve(serving, dialPort, corev1.ProtocolTCP)).To(Succeed())
		Expect(outside.Serve(serving, dialPort, corev1.ProtocolUDP)).To(Succeed())
	}
	Expect(scenario.CreateNamespace(ctx, api, starters)).To(Succeed())
	DeferCleanup(expectGone, starters)
	Expect(api.Create(ctx, &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: starters, Name: "one-place"},
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
			Egress:      []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: allowed + "/32"}}}}},
		},
	})).To(Succeed())
}

// countArrivals has the outside count from now on.
func countArrivals(ctx context.Context) {
	GinkgoHelper()
	const counted = `table inet counted
delete table inet counted
table inet counted {
	counter forbidden {}
	counter datagrams {}
	chain arriving {
		type filter hook prerouting priority raw
		ip daddr ` + forbidden + ` counter name forbidden
		ip daddr ` + allowed + ` udp dport 443 counter name datagrams
	}
}`
	file := filepath.Join(GinkgoT().TempDir(), "counted.nft")
	Expect(os.WriteFile(file, []byte(counted), 0o600)).To(Succeed())
	run(ctx, "cp", "nft", "-f", file)
}

// startDialers starts pods on both nodes at once; the rest is finishDialers'.
func startDialers(ctx context.Context, count int) ([]outcome, arrived) {
	GinkgoHelper()
	countArrivals(ctx)
	for i := range count {
		Expect(api.Create(ctx, dialer(fmt.Sprintf("dialer-%d", i), kube.Nodes()[i%len(kube.Nodes())]))).To(Succeed())
	}
	return finishDialers(ctx)
}

// finishDialers waits until all dialers have ended, and returns what they tell of the allowed place and what
// came to both. The dialers are gone then.
func finishDialers(ctx context.Context) ([]outcome, arrived) {
	GinkgoHelper()
	var pods corev1.PodList
	Eventually(func(g Gomega) {
		g.Expect(api.List(ctx, &pods, client.InNamespace(starters))).To(Succeed())
		g.Expect(slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodSucceeded })).To(BeFalse())
	}, catchesUp, "200ms").Should(Succeed())
	var outcomes []outcome
	for _, pod := range pods.Items {
		var told []outcome
		Expect(json.Unmarshal([]byte(pod.Status.ContainerStatuses[0].State.Terminated.Message), &told)).To(Succeed())
		outcomes = append(outcomes, told[0])
	}
	Expect(api.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(starters))).To(Succeed())
	return outcomes, arrived{packets(ctx, "forbidden"), packets(ctx, "datagrams")}
}

func dialer(name, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: starters, Name: name},
		Spec: corev1.PodSpec{
			NodeName: node, RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "dialer", Image: "apptier/dialer:e2e", ImagePullPolicy: corev1.PullNever,
				Args: []string{fmt.Sprintf("%s:%d", allowed, dialPort), fmt.Sprintf("%s:%d", forbidden, dialPort)},
			}},
		},
	}
}

// packets reads a counter of the outside world.
func packets(ctx context.Context, counter string) int {
	GinkgoHelper()
	var n int
	_, rest, found := strings.Cut(run(ctx, "cp", "nft", "list", "counter", "inet", "counted", counter), "packets ")
	Expect(found).To(BeTrue())
	_, err := fmt.Sscan(rest, &n)
	Expect(err).NotTo(HaveOccurred())
	return n
}

// run runs a program on a machine, and returns what it prints.
func run(ctx context.Context, machine string, argv ...string) string {
	GinkgoHelper()
	out, err := kube.Command(ctx, machine, argv...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return string(out)
}

// report tells how long the connections of a burst took, beside the results of the specs.
func report(what string, outcomes []outcome) {
	var took []string
	repeated := 0
	slices.SortFunc(outcomes, func(a, b outcome) int { return int(a.Took - b.Took) })
	for _, o := range outcomes {
		took = append(took, fmt.Sprint(o.Took.Round(time.Millisecond)))
		if o.Repeated > 0 {
			repeated++
		}
	}
	AddReportEntry(fmt.Sprintf("%s: %d of %d pods sent packets twice", what, repeated, len(outcomes)), strings.Join(took, " "))
}

// applyWith applies config/default with a component until the spec ends.
func applyWith(ctx context.Context, component string) {
	GinkgoHelper()
	root, err := repository.Dir(ctx)
	Expect(err).NotTo(HaveOccurred())
	dir := GinkgoT().TempDir()
	relative, err := filepath.Rel(dir, filepath.Join(root, "config"))
	Expect(err).NotTo(HaveOccurred())
	text := fmt.Sprintf("resources: [%[1]s/default]\ncomponents: [%[1]s/components/%[2]s]\n", relative, component)
	Expect(os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600)).To(Succeed())
	changed, err := manifests.KustomizeDir(dir)
	Expect(err).NotTo(HaveOccurred())
	usual, err := manifests.Kustomize(ctx, "config", "default")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) { Expect(kube.Apply(ctx, usual)).To(Succeed()) })
	Expect(kube.Apply(ctx, changed)).To(Succeed())
}

// enforcers waits until the enforcer of every node is the one that the DaemonSet wants, and has rules.
func enforcers(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var set appsv1.DaemonSet
		g.Expect(api.Get(ctx, enforcerKey, &set)).To(Succeed())
		want := set.Status.DesiredNumberScheduled
		g.Expect(set.Status.ObservedGeneration).To(Equal(set.Generation))
		g.Expect(set.Status.UpdatedNumberScheduled).To(Equal(want))
		g.Expect(set.Status.NumberAvailable).To(Equal(want))
	}, catchesUp, "200ms").Should(Succeed())
}

var enforcerKey = client.ObjectKey{Namespace: manifests.EnforcerNamespace, Name: "apptier-enforcer"}

// announced waits until the runtimes of all nodes announce their pods.
func announced(ctx context.Context) {
	GinkgoHelper()
	enforcers(ctx)
	for _, node := range kube.Nodes() {
		Eventually(func() string {
			_, body := get(ctx, node, "http://127.0.0.1:9808/metrics")
			return body
		}, settles, "200ms").Should(ContainSubstring("\napptier_enforcer_nri_connected 1\n"), node)
	}
}

// withoutEnforcer has neither an enforcer nor its rules on any node, as after their boot, until it is
// restored or the spec ends.
func withoutEnforcer(ctx context.Context) (restore func(context.Context)) {
	GinkgoHelper()
	nodes := func(ctx context.Context, selector string) {
		set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: enforcerKey.Namespace, Name: enforcerKey.Name}}
		patch := `{"spec":{"template":{"spec":{"nodeSelector":` + selector + `}}}}`
		Expect(api.Patch(ctx, set, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
	}
	restore = func(ctx context.Context) {
		nodes(ctx, "null")
		announced(ctx)
	}
	DeferCleanup(restore)
	nodes(ctx, `{"no-such-label":"true"}`)
	Eventually(func(g Gomega) {
		var pods corev1.PodList
		g.Expect(api.List(ctx, &pods, client.InNamespace(manifests.EnforcerNamespace), client.MatchingLabels{"app.kubernetes.io/component": "enforcer"})).To(Succeed())
		g.Expect(pods.Items).To(BeEmpty())
	}, catchesUp, "200ms").Should(Succeed())
	for _, node := range kube.Nodes() {
		run(ctx, node, "nft", "delete", "table", "inet", "apptier")
	}
	return restore
}

var _ = Describe("a pod that starts", Ordered, func() {
	BeforeAll(prepareStarters)

	It("has an address that is closed until its node has rules for it", func(ctx context.Context) {
		Expect(run(ctx, "n1", "nft", "list", "set", "inet", "apptier", "range4")).To(ContainSubstring("10.244.1.0/24"))
		Expect(run(ctx, "n2", "nft", "list", "set", "inet", "apptier", "range4")).To(ContainSubstring("10.244.2.0/24"))
	})

	It("reaches with its first packet what its policies allow, and nothing else", func(ctx context.Context) {
		announced(ctx)
		outcomes, came := startDialers(ctx, burst)
		report("announced", outcomes)
		Expect(outcomes).To(HaveEach(And(HaveField("Connected", true), HaveField("Repeated", BeZero()))))
		Expect(came).To(Equal(arrived{Forbidden: 0, Datagrams: burst}))
	})

	It("reaches nothing else if nobody announces it either, but its first packets are lost", func(ctx context.Context) {
		DeferCleanup(announced)
		applyWith(ctx, "no-nri")
		enforcers(ctx)
		outcomes, came := startDialers(ctx, burst)
		report(fmt.Sprintf("not announced, %d datagrams arrived", came.Datagrams), outcomes)
		Expect(outcomes).To(HaveEach(HaveField("Connected", true)))
		Expect(came.Forbidden).To(BeZero())
	})

	It("would reach everything without the enforcer", func(ctx context.Context) {
		withoutEnforcer(ctx)
		_, came := startDialers(ctx, 4)
		Expect(came.Forbidden).To(BeNumerically(">=", 4*2), "a datagram and a SYN each")
	})

	It("does not start before the enforcer if it asks for that", func(ctx context.Context) {
		restore := withoutEnforcer(ctx)
		countArrivals(ctx)
		careful := dialer("careful", "n1")
		careful.Annotations = map[string]string{"required-plugins.noderesource.dev": `["apptier-enforcer"]`}
		Expect(api.Create(ctx, careful)).To(Succeed())
		waiting := func() (string, error) {
			err := api.Get(ctx, client.ObjectKeyFromObject(careful), careful)
			return fmt.Sprint(careful.Status.ContainerStatuses), err
		}
		Eventually(waiting, catchesUp, "200ms").Should(ContainSubstring(`required plugin "apptier-enforcer" not present`))
		restore(ctx)
		_, came := finishDialers(ctx)
		Expect(came).To(Equal(arrived{Forbidden: 0, Datagrams: 1}))
	})

	It("is announced again after the container runtime was restarted", func(ctx context.Context) {
		Expect(kube.Stop(ctx, "n1", cluster.Containerd)).To(Succeed())
		DeferCleanup(kube.Start, "n1", cluster.Containerd)
		Eventually(func() string {
			_, body := get(ctx, "n1", "http://127.0.0.1:9808/metrics")
			return body
		}, settles, "200ms").Should(ContainSubstring("\napptier_enforcer_nri_connected 0\n"))
		Expect(kube.Start(ctx, "n1", cluster.Containerd)).To(Succeed())
		Expect(kube.Await(ctx, "n1", cluster.Containerd)).To(Succeed())
		announced(ctx)
	})
})
