package controllers

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/lint/check"
)

// conflicts are the conflicts of an AppTier with older ones of its namespace. Admission refuses them; if
// two are created at once, the older one wins.
func (r *AppTierReconciler) conflicts(ctx context.Context, app *v1alpha1.AppTier) ([]check.Finding, error) {
	var others v1alpha1.AppTierList
	options := []client.ListOption{client.InNamespace(app.Namespace)}
	if !holdsForNamespace(app) { // then only AppTiers for the whole namespace can conflict
		options = append(options, client.MatchingFields{referenceField: namespaceScoped})
	}
	if err := r.Client.List(ctx, &others, options...); err != nil {
		return nil, fmt.Errorf("listing the AppTiers of the namespace: %w", err)
	}
	list := make([]*v1alpha1.AppTier, len(others.Items))
	for i := range others.Items {
		list[i] = &others.Items[i]
	}
	return apptier.Conflicts(app, list), nil
}

func holdsForNamespace(app *v1alpha1.AppTier) bool {
	return app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace
}
