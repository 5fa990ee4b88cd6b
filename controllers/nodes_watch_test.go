package controllers

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apptier/apptier/api/v1alpha1"
)

// noted is a queue that notes what comes into it.
type noted struct {
	requestQueue
	names []string
}

func (n *noted) AddAfter(request reconcile.Request, _ time.Duration) {
	n.names = append(n.names, request.Name)
}

func (n *noted) sorted() []string { return slices.Compact(slices.Sorted(slices.Values(n.names))) }

// What a node takes back is news to the AppTiers with pods there, what it adds to those that wait for it, and neither to the
// rest: a node whose report comes and goes makes the manager look at nothing else.
func TestWhoHearsOfAReport(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	report := func(node string, change func(*v1alpha1.NodeReportStatus)) *v1alpha1.NodeReport {
		r := &v1alpha1.NodeReport{ObjectMeta: metav1.ObjectMeta{Name: node}, Status: v1alpha1.NodeReportStatus{
			Mode: v1alpha1.EnforcerEnforces, NetworkPolicies: "7", StagedNetworkPolicies: "7",
		}}
		if change != nil {
			change(&r.Status)
		}
		return r
	}
	var objects []client.Object
	for _, name := range []string{"here", "waits", "elsewhere", "nowhere"} {
		objects = append(objects, &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}})
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.NodeReportStatus)
		want   []string
	}{
		"nothing":               {nil, []string{"waits"}},
		"a later version":       {func(s *v1alpha1.NodeReportStatus) { s.NetworkPolicies = "8" }, []string{"waits"}},
		"an earlier version":    {func(s *v1alpha1.NodeReportStatus) { s.NetworkPolicies = "6" }, []string{"here", "waits"}},
		"no version":            {func(s *v1alpha1.NodeReportStatus) { s.NetworkPolicies = "" }, []string{"here", "waits"}},
		"no staged policies":    {func(s *v1alpha1.NodeReportStatus) { s.StagedNetworkPolicies = "" }, []string{"here", "waits"}},
		"a problem":             {func(s *v1alpha1.NodeReportStatus) { s.Problems = []string{"Broken"} }, []string{"here", "waits"}},
		"less than is written":  {func(s *v1alpha1.NodeReportStatus) { s.NotAsWritten = []string{"shop/a"} }, []string{"here", "waits"}},
		"that it only observes": {func(s *v1alpha1.NodeReportStatus) { s.Mode = v1alpha1.EnforcerObserves }, []string{"here", "waits"}},
	} {
		api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
		r := &nodesReconciler{AppTierReconciler: &AppTierReconciler{Client: api}}
		r.under.set(types.NamespacedName{Namespace: "shop", Name: "here"}, []string{"n1", "n2"})
		r.under.set(types.NamespacedName{Namespace: "shop", Name: "elsewhere"}, []string{"n2"})
		r.waiting.set(types.NamespacedName{Namespace: "shop", Name: "waits"}, []string{"n1"})
		queue := &noted{}
		r.ofReport().Update(t.Context(), event.UpdateEvent{ObjectOld: report("n1", nil), ObjectNew: report("n1", test.change)}, queue)
		if difference := cmp.Diff(test.want, queue.sorted()); difference != "" {
			t.Errorf("%s: %s", name, difference)
		}
	}
	for name, test := range map[string]struct {
		left []client.Object
		want []string
	}{
		"one of several": {[]client.Object{report("n2", nil)}, []string{"here"}},
		"the last":       {nil, []string{"elsewhere", "here", "nowhere", "waits"}},
	} {
		api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(slices.Clone(objects), test.left...)...).Build()
		r := &nodesReconciler{AppTierReconciler: &AppTierReconciler{Client: api}}
		r.under.set(types.NamespacedName{Namespace: "shop", Name: "here"}, []string{"n1"})
		queue := &noted{}
		r.ofReport().Delete(t.Context(), event.DeleteEvent{Object: report("n1", nil)}, queue)
		if difference := cmp.Diff(test.want, queue.sorted()); difference != "" {
			t.Errorf("%s is gone: %s", name, difference)
		}
	}
}
