package e2e

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/controllers/audit"
	"github.com/apptier/apptier/internal/cli"
	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/test/scenario"
)

// shop is a pod of the shop.
func shop(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: scenario.Shop.Namespace, Name: name}
}

// seenInShop asks the API of connections.
func seenInShop(ctx context.Context) connections.ConnectionList {
	GinkgoHelper()
	list, err := scenario.Connections(ctx, kube, scenario.Shop.Namespace)
	Expect(err).NotTo(HaveOccurred())
	return list
}

// expectSeen waits until a connection of the shop is known.
func expectSeen(ctx context.Context, verdict connections.Verdict, from, to string, port int32) connections.Connection {
	GinkgoHelper()
	var found connections.Connection
	Eventually(func() bool {
		items := seenInShop(ctx).Items
		i := slices.IndexFunc(items, func(c connections.Connection) bool {
			return c.Verdict == verdict && c.Source.Pod == from && c.Destination.Pod == to && c.Port == port
		})
		if i >= 0 {
			found = items[i]
		}
		return i >= 0
	}, settles, 50*time.Millisecond).Should(BeTrue(), "%v", seenInShop(ctx))
	return found
}

// setShop changes the shop's AppTier.
func setShop(ctx context.Context, change func(*v1alpha1.AppTierSpec)) {
	GinkgoHelper()
	Eventually(func() error {
		var app v1alpha1.AppTier
		Expect(api.Get(ctx, scenario.Shop, &app)).To(Succeed())
		change(&app.Spec)
		return api.Update(ctx, &app)
	}, settles).Should(Succeed())
}

func expectAudited(ctx context.Context, status metav1.ConditionStatus, reason string) *v1alpha1.AppTier {
	GinkgoHelper()
	var app v1alpha1.AppTier
	Eventually(func() string {
		Expect(api.Get(ctx, scenario.Shop, &app)).To(Succeed())
		audited := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionAudited)
		if audited == nil || audited.ObservedGeneration != app.Generation {
			return fmt.Sprint("not known yet: ", app.Status.Conditions)
		}
		return fmt.Sprint(audited.Status, " ", audited.Reason, ": ", audited.Message)
	}, catchesUp+scenario.AuditPeriod, 100*time.Millisecond).Should(HavePrefix("%s %s", status, reason), func() string {
		return fmt.Sprintf("%+v\n%+v", app.Status, seenInShop(ctx))
	})
	return &app
}

// expectEvent waits until the shop's AppTier has an Event.
func expectEvent(ctx context.Context, reason, text string) {
	GinkgoHelper()
	Eventually(func() []string {
		var list eventsv1.EventList
		Expect(api.List(ctx, &list, client.InNamespace(scenario.Shop.Namespace))).To(Succeed())
		var notes []string
		for _, e := range list.Items {
			if e.Regarding.Kind == "AppTier" && e.Reason == reason {
				notes = append(notes, e.Note)
			}
		}
		return notes
	}, 2*time.Minute, time.Second).Should(ContainElement(ContainSubstring(text)), "there is one a minute")
}

// kubectlApptier runs the plugin.
func kubectlApptier(ctx context.Context, args ...string) string {
	GinkgoHelper()
	return runPlugin(ctx, kube.Kubeconfig(), args...)
}

// runPlugin runs it with a cluster.
func runPlugin(ctx context.Context, kubeconfig string, args ...string) string {
	GinkgoHelper()
	var out, errs bytes.Buffer
	command := cli.NewCommand(genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &out, ErrOut: &errs})
	command.SetArgs(append(args, "--kubeconfig", kubeconfig))
	Expect(command.ExecuteContext(ctx)).To(Succeed(), "%s%s", &out, &errs)
	return out.String()
}

var _ = Describe("an AppTier in mode Audit", Ordered, func() {
	connect := func(ctx context.Context, from, to string, port int32) bool {
		GinkgoHelper()
		var pod corev1.Pod
		Expect(api.Get(ctx, shop(to), &pod)).To(Succeed())
		reached, err := kube.Probe(ctx, shop(from), fmt.Sprintf("%s:%d", pod.Status.PodIP, port), corev1.ProtocolTCP)
		Expect(err).NotTo(HaveOccurred())
		return reached
	}

	BeforeAll(func(ctx context.Context) {
		// Specs before this may have applied config/default as it is, by which an audit takes a day.
		Expect(scenario.InstallLoaded(ctx, kube)).To(Succeed())
	})

	It("denies nothing, and shows what it would deny, by name", func(ctx context.Context) {
		applyShop(ctx)
		setShop(ctx, func(spec *v1alpha1.AppTierSpec) { spec.Mode = v1alpha1.Audit })
		expectProgrammed(ctx)
		Expect(shopPolicies(ctx)).To(BeEmpty())
		expectAudited(ctx, metav1.ConditionFalse, v1alpha1.ReasonAuditing)

		Expect(connect(ctx, "frontend", "database", 5432)).To(BeTrue())
		found := expectSeen(ctx, connections.WouldDeny, "frontend", "database", 5432)
		Expect(found.Because).To(ContainElement(And(HaveField("Kind", "StagedNetworkPolicy"), HaveField("AppTier", "shop"))))
		Expect(found.Source.Tier).To(Equal("frontend"))
		Expect(found.Destination.Tier).To(Equal("database"))

		app := expectAudited(ctx, metav1.ConditionFalse, v1alpha1.ReasonWouldDeny)
		Expect(app.Status.Audit.WouldDeny).To(BeNumerically(">=", 1))
		Expect(app.Status.Audit.Top).To(ContainElement(And(HaveField("Source", "shop/frontend"), HaveField("Destination", "shop/database"))))
		Expect(kubectlApptier(ctx, "denied", "-n", "shop")).To(MatchRegexp(
			`shop/frontend \(tier frontend\) → shop/database \(tier database\) TCP 5432 would be denied by egress of tier frontend`))
	})

	It("is audited once nothing would be denied", func(ctx context.Context) {
		setShop(ctx, func(spec *v1alpha1.AppTierSpec) {
			database := &spec.Tiers[len(spec.Tiers)-1]
			database.Ingress[0].From = append(database.Ingress[0].From, v1alpha1.Peer{Tier: ptr.To("frontend")})
		})
		expectProgrammed(ctx)
		Expect(connect(ctx, "frontend", "database", 5432)).To(BeTrue())
		expectAudited(ctx, metav1.ConditionTrue, v1alpha1.ReasonNothingDenied)
	})

	It("is enforced then, and denials have names", func(ctx context.Context) {
		setShop(ctx, func(spec *v1alpha1.AppTierSpec) { spec.Mode = v1alpha1.Enforce })
		expectProgrammed(ctx)
		Expect(connect(ctx, "frontend", "database", 5432)).To(BeTrue(), "it was declared")
		Expect(connect(ctx, "database", "frontend", 8080)).To(BeFalse())
		found := expectSeen(ctx, connections.Denied, "database", "frontend", 8080)
		Expect(found.Direction).To(Equal(connections.Egress))
		Expect(found.Because).To(ContainElement(HaveField("Name", "shop.tier.database")))
		Eventually(func() *v1alpha1.AuditStatus {
			var app v1alpha1.AppTier
			Expect(api.Get(ctx, scenario.Shop, &app)).To(Succeed())
			return app.Status.Audit
		}, time.Minute).Should(BeNil(), "nothing is audited any more")
		Expect(kubectlApptier(ctx, "denied", "-n", "shop")).To(ContainSubstring("TCP 8080 denied by egress of tier database"))
		expectEvent(ctx, audit.ReasonDenied, "denied by egress of tier database: shop/database → shop/frontend TCP 8080")
		applyShop(ctx)
	})

	It("is learned from what was seen, and allows that and nothing else", func(ctx context.Context) {
		recordAllowed(ctx)
		app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Shop.Namespace, Name: scenario.Shop.Name}}
		Expect(api.Delete(ctx, app)).To(Succeed())
		Eventually(func() map[string]networkingv1.NetworkPolicySpec { return shopPolicies(ctx) }, settles).Should(BeEmpty())
		used := []struct {
			from, to string
			port     int32
		}{{"frontend", "api", 8080}, {"api", "database", 5432}}
		unused := []struct {
			from, to string
			port     int32
		}{{"frontend", "database", 5432}, {"database", "api", 8080}, {"api", "frontend", 8080}}
		for _, c := range used {
			for range 3 {
				Expect(connect(ctx, c.from, c.to, c.port)).To(BeTrue())
			}
			expectSeen(ctx, connections.Allowed, c.from, c.to, c.port)
		}

		var learned string
		Eventually(func() string { // another manager may answer what a node said half a second ago
			learned = kubectlApptier(ctx, "learn", "--cluster", "-n", scenario.Shop.Namespace, "--doubtful", "leave-out")
			return learned
		}, settles).Should(ContainSubstring("from api, TCP 5432: 3 connections"))
		Expect(learned).To(ContainSubstring("mode: Audit"))
		Expect(kube.Apply(ctx, []byte(strings.ReplaceAll(learned, "mode: Audit", "mode: Enforce")))).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			Expect(api.DeleteAllOf(ctx, &v1alpha1.AppTier{}, client.InNamespace(scenario.Shop.Namespace))).To(Succeed())
			applyShop(ctx)
			expectProgrammed(ctx)
		})
		for _, c := range used {
			Eventually(func() bool { return connect(ctx, c.from, c.to, c.port) }, settles).Should(BeTrue(), "%v", c)
		}
		for _, c := range unused {
			Eventually(func() bool { return connect(ctx, c.from, c.to, c.port) }, settles).Should(BeFalse(), "%v", c)
		}
		for _, c := range used {
			Expect(connect(ctx, c.from, c.to, c.port)).To(BeTrue(), "%v", c)
		}
	})
})

// recordAllowed has the enforcers record what passes too, until the test ends.
func recordAllowed(ctx context.Context) {
	GinkgoHelper()
	var enforcer appsv1.DaemonSet
	key := client.ObjectKey{Namespace: manifests.EnforcerNamespace, Name: "apptier-enforcer"}
	rolledOut := func(ctx context.Context) {
		Eventually(func() bool {
			Expect(api.Get(ctx, key, &enforcer)).To(Succeed())
			s := enforcer.Status
			return s.ObservedGeneration == enforcer.Generation && s.UpdatedNumberScheduled == s.DesiredNumberScheduled &&
				s.NumberAvailable == s.DesiredNumberScheduled
		}, 2*time.Minute, 100*time.Millisecond).Should(BeTrue())
	}
	set := func(ctx context.Context, change func(args []string) []string) {
		Expect(api.Get(ctx, key, &enforcer)).To(Succeed())
		before := enforcer.DeepCopy()
		args := &enforcer.Spec.Template.Spec.Containers[0].Args
		*args = change(*args)
		Expect(api.Patch(ctx, &enforcer, client.MergeFrom(before))).To(Succeed())
		rolledOut(ctx)
	}
	const flag = "--record-allowed"
	set(ctx, func(args []string) []string { return append(slices.Clone(args), flag) })
	DeferCleanup(func(ctx context.Context) {
		set(ctx, func(args []string) []string {
			return slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == flag })
		})
	})
}
