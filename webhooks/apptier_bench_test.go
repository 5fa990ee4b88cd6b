package webhooks

import (
	"fmt"
	"runtime"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
)

// Someone waits for every answer: how long, in the cluster of BenchmarkNetworkPolicy, for AppTiers of
// a few tiers and of as many as there may be.
func BenchmarkAppTier(b *testing.B) {
	c := largeCluster()
	v := AppTierValidator{Cluster: c}
	c.current()
	for _, tiers := range []int{3, 64} {
		b.Run(fmt.Sprintf("tiers=%d", tiers), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			app, before := chainOf(tiers), threadTime(b)
			for b.Loop() {
				v.judge(app, lint.NewWork(0, nil))
			}
			b.ReportMetric(float64((threadTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
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
