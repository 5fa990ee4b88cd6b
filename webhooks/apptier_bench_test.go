package webhooks

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/lint/check"
)

// Someone waits for every answer: how long, in the cluster of BenchmarkNetworkPolicy, for AppTiers of
// a few tiers and of as many as there may be.
func BenchmarkAppTier(b *testing.B) {
	c := largeCluster()
	v := AppTierValidator{Cluster: c, Reader: clusterReader{c}, Limits: budget.Defaults(), Settings: environment.Settings{}}
	c.current()
	for _, tiers := range []int{3, 16, 64} {
		b.Run(fmt.Sprintf("tiers=%d", tiers), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			app, before := chainOf(tiers), threadTime(b)
			for b.Loop() {
				if _, _, err := v.judgeChange(b.Context(), nil, app, check.NewWork(0, nil)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((threadTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// clusterReader reads a cluster's stores as a manager's cache reads its own: it copies what it returns.
type clusterReader struct{ *Cluster }

func (r clusterReader) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	object, found, err := r.partFor(into).GetByKey(key.String())
	if !found || err != nil {
		return apierrors.NewNotFound(corev1.Resource("object"), key.Name)
	}
	switch into := into.(type) {
	case *corev1.Service:
		object.(*corev1.Service).DeepCopyInto(into)
	case *v1alpha1.AppTier:
		object.(*v1alpha1.AppTier).DeepCopyInto(into)
	}
	return nil
}

func (r clusterReader) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	var wanted client.ListOptions
	wanted.ApplyOptions(options)
	if pods, ok := into.(*corev1.PodList); ok {
		for _, pod := range r.pods.in(wanted.Namespace) {
			if wanted.LabelSelector.Matches(labels.Set(pod.Labels)) {
				pods.Items = append(pods.Items, *pod.DeepCopy())
			}
		}
	}
	return nil
}

// chainOf is an AppTier whose tiers connect to the next one each.
func chainOf(tiers int) *v1alpha1.AppTier {
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "team-7", Name: "app"}}
	for i := range tiers {
		tier := v1alpha1.Tier{
			Name:        fmt.Sprint("app-", i),
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprint("app-", i)}},
			Ports:       []v1alpha1.TierPort{{Port: 8080}},
		}
		if i > 0 {
			tier.Ingress = []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Tier: &app.Spec.Tiers[i-1].Name}}}}
		}
		tier.Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Service: &v1alpha1.ServiceReference{Namespace: "team-8", Name: "app-1"}}}}}
		app.Spec.Tiers = append(app.Spec.Tiers, tier)
	}
	return app
}
