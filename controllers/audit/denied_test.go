package audit

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/apiserver"
)

// deniedAt is a connection that the shop's tier db denied, or would have.
func deniedAt(at time.Time, verdict connections.Verdict, kind string, port int32) connections.Connection {
	return connections.Connection{
		Verdict: verdict, Direction: connections.Ingress, Count: 1, Last: metav1.NewMicroTime(at), Protocol: "TCP", Port: port,
		Source: connections.End{Namespace: "shop", Pod: "web"}, Destination: connections.End{Namespace: "shop", Pod: "db-0"},
		Because: []connections.PolicyReference{{Kind: kind, Name: "shop.tier.db", AppTier: "shop", Tier: "db"}},
	}
}

// Each minute an AppTier has one Event, about all that was denied since the one before, and none about what was told.
func TestTeller(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	scheme := runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	app := func(name string, mode v1alpha1.Mode) client.Object {
		return &v1alpha1.AppTier{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)}, Spec: v1alpha1.AppTierSpec{Mode: mode},
		}
	}
	now := time.Date(2026, 12, 1, 14, 0, 0, 0, time.UTC)
	n, told := &nodes{}, events.NewFakeRecorder(10)
	teller := &Teller{
		Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(app("shop", v1alpha1.Enforce), app("trial", v1alpha1.Audit)).Build(),
		Nodes:  n, Events: told, Now: func() time.Time { return now },
	}
	for _, step := range []struct {
		of   string
		late time.Duration
		seen []connections.Connection
		want string
	}{
		{of: "nothing was seen"},
		{of: "what staged policies would deny is the audit's to tell", seen: []connections.Connection{
			deniedAt(now.Add(-time.Second), connections.WouldDeny, "StagedNetworkPolicy", 5432)}},
		{of: "two were denied", seen: []connections.Connection{
			deniedAt(now.Add(100*time.Second), connections.Denied, "NetworkPolicy", 5433),
			deniedAt(now.Add(90*time.Second), connections.Denied, "NetworkPolicy", 5432)},
			want: "denied by ingress of tier db: shop/web → shop/db-0 TCP 5433 (different connections since the last Event: 2)"},
		{of: "they are told, and nodes remember them", seen: []connections.Connection{
			deniedAt(now.Add(100*time.Second), connections.Denied, "NetworkPolicy", 5433)}},
		{of: "one is seen again", seen: []connections.Connection{
			deniedAt(now.Add(220*time.Second), connections.Denied, "NetworkPolicy", 5432)},
			want: "TCP 5432 (different connections since the last Event: 1)"},
		{of: "it was denied while the pass before was slow", late: 3 * eventEvery, seen: []connections.Connection{
			deniedAt(now.Add(310*time.Second), connections.Denied, "NetworkPolicy", 5435)}, want: "TCP 5435"},
		{of: "it was seen long ago", seen: []connections.Connection{deniedAt(now, connections.Denied, "NetworkPolicy", 5434)}},
	} {
		n.answer.Items = step.seen
		now = now.Add(step.late)
		asked := n.asked
		g.Expect(teller.Once(ctx)).To(Succeed())
		g.Expect(n.asked).To(Equal(asked+1), "the namespace, once")
		if step.want == "" {
			g.Expect(told.Events).NotTo(Receive(), step.of)
		} else {
			g.Expect(told.Events).To(Receive(And(HavePrefix("Warning Denied "), ContainSubstring(step.want))), step.of)
			g.Expect(told.Events).NotTo(Receive(), fmt.Sprint("more than one: ", step.of))
		}
		now = now.Add(eventEvery)
	}
}

// On a real API server: the recorder writes what is told of another connection, and does not take it for the same again.
func TestAnotherConnectionIsAnotherEvent(t *testing.T) {
	config, _ := apiserver.Start(t)
	g, ctx, scheme := NewWithT(t), t.Context(), runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	api, err := kubernetes.NewForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = api.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: api.EventsV1()})
	defer broadcaster.Shutdown()
	g.Expect(broadcaster.StartRecordingToSinkWithContext(ctx)).To(Succeed())
	teller := &Teller{Events: broadcaster.NewRecorder(scheme, "apptier"), told: map[types.UID]time.Time{}}
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop", UID: "shop"}}
	for _, port := range []int32{80, 5432, 80} {
		teller.tell(app, []v1alpha1.AuditedConnection{{Source: "shop/web", Destination: "shop/db-0", Protocol: "TCP", Port: port}})
	}
	g.Eventually(func() (notes []string) {
		list, err := api.EventsV1().Events("shop").List(ctx, metav1.ListOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		for _, event := range list.Items {
			notes = append(notes, event.Note)
		}
		return notes
	}, "20s").Should(ConsistOf(ContainSubstring("TCP 80 "), ContainSubstring("TCP 5432 ")))
}
