// Package probe sees from outside whether AppTiers are judged, and brings nothing of what judges them.
package probe

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Asked says whether the API server asks the webhook about AppTiers of a namespace: it tries, as a dry run, an AppTier
// that is valid by its schema, and refers to a missing tier.
func Asked(ctx context.Context, c client.Client, namespace string) (bool, error) {
	wrong := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "wrong"}}
	wrong.Spec.Tiers = []v1alpha1.Tier{{
		Name:        "web",
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "web"}},
		Ingress:     []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Tier: ptr.To("nobody")}}, AllPorts: true}},
	}}
	switch err := c.Create(ctx, wrong, client.DryRunAll); {
	case err == nil:
		return false, nil
	case !apierrors.IsInvalid(err):
		return false, fmt.Errorf("trying an AppTier that is to be refused: %w", err)
	default:
		return true, nil
	}
}
