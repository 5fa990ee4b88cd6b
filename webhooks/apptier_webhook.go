// Package webhooks answers admission requests of the API server with what policy/lint finds.
package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
)

// AppTierValidator refuses AppTiers that lint rejects, by themselves or beside others of their
// namespace, with every reason at once, and passes warnings on.
type AppTierValidator struct {
	// Reader reads from a cache.
	Reader client.Reader
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
	if err := v.Reader.List(ctx, &others, client.InNamespace(app.Namespace)); err != nil {
		return nil, fmt.Errorf("listing the AppTiers of namespace %s: %w", app.Namespace, err)
	}
	for i := range others.Items {
		if other := &others.Items[i]; other.Name != app.Name && other.DeletionTimestamp.IsZero() {
			findings = append(findings, lint.SameNamespaceAs(app, other)...)
		}
	}
	return warnings(findings), refusal(app, lint.WithSeverity(findings, lint.Reject))
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

func warnings(findings []lint.Finding) admission.Warnings {
	var out admission.Warnings
	for _, finding := range lint.WithSeverity(findings, lint.Warn) {
		out = append(out, finding.String())
	}
	return out
}

// refusal returns an error with all findings: for people in the message, for programs as causes.
func refusal(app *v1alpha1.AppTier, rejected []lint.Finding) error {
	if len(rejected) == 0 {
		return nil
	}
	var message strings.Builder
	fmt.Fprintf(&message, "AppTier %s is refused:", app.Name)
	causes := make([]metav1.StatusCause, len(rejected))
	for i, finding := range rejected {
		fmt.Fprintf(&message, "\n  %s: %s (%s)\n    fix: %s", finding.Path, finding.Message, finding.Check, finding.Fix)
		causes[i] = metav1.StatusCause{Type: metav1.CauseType(finding.Check), Field: finding.Path, Message: finding.Message + "; " + finding.Fix}
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusUnprocessableEntity,
		Reason:  metav1.StatusReasonInvalid,
		Message: message.String(),
		Details: &metav1.StatusDetails{Group: v1alpha1.GroupVersion.Group, Kind: "AppTier", Name: app.Name, Causes: causes},
	}}
}
