package apptier_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/apptier"
)

// perimeterAndShop are fine by themselves, and not together.
func perimeterAndShop() (perimeter, shop *v1alpha1.AppTier) {
	perimeter = &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "perimeter"}}
	perimeter.Spec.Isolation = v1alpha1.Isolation{Scope: v1alpha1.ScopeNamespace, SameNamespace: v1alpha1.SameNamespaceAllow}
	shop = &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}}
	shop.Spec.Tiers = []v1alpha1.Tier{{Name: "database", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "database"}}}}
	return perimeter, shop
}

// Of AppTiers that cannot be together exactly one is at fault, and which one is not a matter of the
// order in which anyone looks.
func TestConflictsAreTheYoungers(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name            string
		perimeter, shop time.Time
		change          func(perimeter, shop *v1alpha1.AppTier)
		refused         []string
	}{
		{name: "the perimeter is older", perimeter: noon, shop: noon.Add(time.Second), refused: []string{"shop"}},
		{name: "the shop is older", perimeter: noon.Add(time.Second), shop: noon, refused: []string{"perimeter"}},
		{name: "created within a second", perimeter: noon, shop: noon, refused: []string{"shop"}},
		{name: "in files", refused: []string{"shop"}},
		{name: "the older is about to go", perimeter: noon, shop: noon.Add(time.Second), change: func(perimeter, _ *v1alpha1.AppTier) {
			perimeter.DeletionTimestamp = &metav1.Time{Time: noon}
		}},
		{name: "in two namespaces", change: func(_, shop *v1alpha1.AppTier) { shop.Namespace = "other" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			perimeter, shop := perimeterAndShop()
			perimeter.CreationTimestamp, shop.CreationTimestamp = metav1.NewTime(test.perimeter), metav1.NewTime(test.shop)
			if test.change != nil {
				test.change(perimeter, shop)
			}
			for _, apps := range [][]*v1alpha1.AppTier{{perimeter, shop}, {shop, perimeter}} {
				var refused []string
				for _, app := range apps {
					if len(apptier.Conflicts(app, apps)) > 0 {
						refused = append(refused, app.Name)
					}
				}
				if !slices.Equal(refused, test.refused) {
					t.Errorf("refused: %v, want %v", refused, test.refused)
				}
			}
		})
	}
}
