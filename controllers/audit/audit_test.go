package audit

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/apiserver"
)

// nodes answer what a test says, and count how often they are asked.
type nodes struct {
	answer connections.ConnectionList
	asked  int
}

func (n *nodes) List(context.Context, string, time.Time) connections.ConnectionList {
	n.asked++
	return n.answer
}

// On a real API server: what is written is the audit's alone, it is written rarely, and goes with the mode.
func TestAuditor(t *testing.T) {
	config, _ := apiserver.Start(t)
	g, ctx := NewWithT(t), t.Context()
	scheme := runtime.NewScheme()
	g.Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	api, err := client.New(config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})).To(Succeed())
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}, Spec: v1alpha1.AppTierSpec{
		Mode:  v1alpha1.Audit,
		Tiers: []v1alpha1.Tier{{Name: "db", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "db"}}}},
	}}
	g.Expect(api.Create(ctx, app)).To(Succeed())

	now := time.Now().Truncate(time.Second)
	n, told := &nodes{}, events.NewFakeRecorder(10)
	a := &Auditor{Client: api, Nodes: n, Events: told, Period: time.Hour, Now: func() time.Time { return now }}
	once := func() *metav1.Condition {
		g.Expect(a.Once(ctx)).To(Succeed())
		g.Expect(api.Get(ctx, client.ObjectKeyFromObject(app), app)).To(Succeed())
		return meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionAudited)
	}
	g.Expect(once()).To(HaveField("Reason", v1alpha1.ReasonAuditing))
	g.Expect(app.Status.Audit).To(BeNil(), "its policies are not in place")

	others := app.DeepCopy()
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionProgrammed} {
		meta.SetStatusCondition(&others.Status.Conditions, metav1.Condition{Type: name, Status: metav1.ConditionTrue, Reason: "Test", ObservedGeneration: app.Generation})
	}
	g.Expect(api.Status().Update(ctx, others)).To(Succeed())
	once()
	g.Expect(app.Status.Audit).To(HaveField("Since", HaveField("Time", BeTemporally("==", now))))

	now = now.Add(time.Minute)
	n.answer.Items = []connections.Connection{{
		Verdict: connections.WouldDeny, Direction: connections.Ingress, Count: 1, Last: metav1.NewMicroTime(now), Protocol: "TCP", Port: 5432,
		Source:      connections.End{Namespace: "shop", Pod: "report-1", Workload: "CronJob/report"},
		Destination: connections.End{Namespace: "shop", Pod: "db-0"},
		Because:     []connections.PolicyReference{{Kind: "StagedNetworkPolicy", Name: "shop.tier.db", AppTier: "shop", Tier: "db"}},
	}}
	g.Expect(once()).To(HaveField("Reason", v1alpha1.ReasonWouldDeny), "a turn is written at once")
	g.Expect(app.Status.Audit.Top).To(ConsistOf(And(HaveField("Source", "shop/cronjob/report"), HaveField("Tier", "db"))))
	g.Expect(told.Events).To(Receive(ContainSubstring("would be denied by ingress of tier db: shop/cronjob/report → shop/db-0 TCP 5432")))
	another := *n.answer.Items[0].DeepCopy()
	another.Port = 5433
	n.answer.Items = append(n.answer.Items, another)
	once()
	g.Expect(told.Events).NotTo(Receive(), "one a minute")
	now = now.Add(writeEvery)
	once()
	g.Expect(app.Status.Audit.Top).To(HaveLen(2))
	now = now.Add(eventEvery - writeEvery)
	once()
	g.Expect(told.Events).To(Receive(ContainSubstring("TCP 5433 (different connections in the last hour: 2)")), "though the status shows it by now")
	n.answer.Items = n.answer.Items[:1]
	now = now.Add(writeEvery)
	once()

	version := app.ResourceVersion
	for range 3 { // counts rise all the time
		now = now.Add(writeEvery / 4)
		n.answer.Items[0].Count++
		once()
	}
	g.Expect(app.ResourceVersion).To(Equal(version), "counts are not")
	now = now.Add(writeEvery)
	once()
	g.Expect(app.Status.Audit.Top).To(ContainElement(HaveField("Count", BeEquivalentTo(4))))

	now, n.answer.Items = now.Add(2*time.Hour), nil
	trial := &v1alpha1.StagedNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "trial"}}
	g.Expect(api.Create(ctx, trial)).To(Succeed())
	g.Expect(once()).To(HaveField("Reason", v1alpha1.ReasonStagedByHand), "it may allow anything")
	g.Expect(api.Delete(ctx, trial)).To(Succeed())
	g.Expect(once()).To(HaveField("Status", metav1.ConditionTrue))

	app.Spec.Mode = v1alpha1.Enforce
	g.Expect(api.Update(ctx, app)).To(Succeed())
	asked := n.asked
	g.Expect(once()).To(BeNil())
	g.Expect(app.Status.Audit).To(BeNil())
	g.Expect(n.asked).To(Equal(asked), "nobody is asked about what is enforced")
	g.Expect(meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)).NotTo(BeNil(), "others' conditions stay")
}
