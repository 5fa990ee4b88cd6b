// Package webhooks answers admission requests of the API server with what policy/lint finds.
package webhooks

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
)

// AppTierValidator refuses AppTiers that lint rejects, by themselves or beside others of their
// namespace, with every reason at once, and passes warnings on. It also warns of references to what is
// not there, which may well come later.
type AppTierValidator struct {
	// Reader reads from a cache.
	Reader client.Reader
	// Settings say what no object of the cluster does.
	Settings environment.Settings
}

var _ admission.Validator[*v1alpha1.AppTier] = AppTierValidator{}

// +kubebuilder:webhook:path=/validate-policy-apptier-dev-v1alpha1-apptier,mutating=false,failurePolicy=fail,sideEffects=None,groups=policy.apptier.dev,resources=apptiers,verbs=create;update,versions=v1alpha1,name=apptier.policy.apptier.dev,admissionReviewVersions=v1,timeoutSeconds=5

// SetupWithManager registers the webhook at the manager's webhook server.
func (v AppTierValidator) SetupWithManager(mgr ctrl.Manager) error {
	if err := ctrl.NewWebhookManagedBy(mgr, &v1alpha1.AppTier{}).WithValidator(v).Complete(); err != nil {
		return fmt.Errorf("setting up the AppTier webhook: %w", err)
	}
	return nil
}

// ValidateCreate judges a new AppTier.
func (v AppTierValidator) ValidateCreate(ctx context.Context, app *v1alpha1.AppTier) (admission.Warnings, error) {
	findings := lint.AppTier(app)
	var others v1alpha1.AppTierList
	if err := v.Reader.List(ctx, &others, client.InNamespace(app.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the AppTiers of namespace %s: %w", app.Namespace, err)
	}
	for i := range others.Items {
		if other := &others.Items[i]; other.Name != app.Name && other.DeletionTimestamp.IsZero() {
			findings = append(findings, lint.SameNamespaceAs(app, other)...)
		}
	}
	if err := refusal(v1alpha1.GroupVersion.WithKind("AppTier").GroupKind(), app.Name, findings); err != nil {
		return warnings(findings), err
	}
	unresolved, err := v.unresolved(ctx, app)
	return append(warnings(findings), unresolved...), err
}

// unresolved are the references of a valid AppTier that stand for nobody for now. They are no reason
// to refuse it: what it refers to may be applied after it.
func (v AppTierValidator) unresolved(ctx context.Context, app *v1alpha1.AppTier) (admission.Warnings, error) {
	env, err := v.Settings.Of(ctx, expand.ReferencesOf(app), environment.Cached{Reader: v.Reader})
	if err != nil {
		return nil, fmt.Errorf("looking up what AppTier %s/%s refers to: %w", app.Namespace, app.Name, err)
	}
	var out admission.Warnings
	for _, reference := range expand.Expand(app, env).Unresolved {
		out = append(out, reference.String())
	}
	return out, nil
}

// ValidateUpdate judges a changed spec. An AppTier that is being deleted, or whose spec stays as it
// is, always passes: finalizers and labels must not depend on checks that came later.
func (v AppTierValidator) ValidateUpdate(ctx context.Context, old, app *v1alpha1.AppTier) (admission.Warnings, error) {
	if !app.DeletionTimestamp.IsZero() || equality.Semantic.DeepEqual(old.Spec, app.Spec) {
		return nil, nil
	}
	return v.ValidateCreate(ctx, app)
}

// ValidateDelete lets everything pass; it is not registered for deletions.
func (AppTierValidator) ValidateDelete(context.Context, *v1alpha1.AppTier) (admission.Warnings, error) {
	return nil, nil
}
