package expand_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// tenTiers is an AppTier of ten tiers, each reached by the one before it and by a scraper.
func tenTiers() *v1alpha1.AppTier {
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "production"}}
	labels := func(key, value string) metav1.LabelSelector {
		return metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	for i := range 10 {
		tier := v1alpha1.Tier{
			Name:        fmt.Sprintf("tier-%d", i),
			PodSelector: labels("tier", fmt.Sprintf("tier-%d", i)),
			Ports:       []v1alpha1.TierPort{{Name: "http", Port: 8080}, {Name: "metrics", Port: 9090}},
			Ingress: []v1alpha1.IngressRule{
				{From: []v1alpha1.Peer{{Pods: &v1alpha1.PodsPeer{PodSelector: labels("app", "scraper")}}}},
			},
			Egress: []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Internet: &v1alpha1.InternetPeer{}}}, AllPorts: true}},
		}
		if i > 0 {
			before := fmt.Sprintf("tier-%d", i-1)
			tier.Ingress = append(tier.Ingress, v1alpha1.IngressRule{From: []v1alpha1.Peer{{Tier: &before}}})
		}
		app.Spec.Tiers = append(app.Spec.Tiers, tier)
	}
	return app
}

func BenchmarkNetworkPolicies(b *testing.B) {
	app, env := tenTiers(), expand.DefaultEnvironment()
	for b.Loop() {
		expand.NetworkPolicies(app, env)
	}
}
