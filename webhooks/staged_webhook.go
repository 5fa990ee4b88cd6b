package webhooks

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/widening"
)

// StagedValidator warns of what a hand-written StagedNetworkPolicy would leak or break if it were enforced. It refuses
// only what no NetworkPolicy can say, and what enforcers would not count.
type StagedValidator struct {
	// Cluster is what policies are judged against.
	Cluster *Cluster
	// Judging limits the work of all requests, together with those about AppTiers and NetworkPolicies.
	Judging *Judging
	// Limits are the enforcers' limits. That of a namespace is left to them: the cache holds no specs of others' policies.
	Limits budget.Limits
}

var _ admission.Validator[*v1alpha1.StagedNetworkPolicy] = StagedValidator{}

// +kubebuilder:webhook:path=/validate-policy-apptier-dev-v1alpha1-stagednetworkpolicy,mutating=false,failurePolicy=ignore,sideEffects=None,groups=policy.apptier.dev,resources=stagednetworkpolicies,verbs=create;update,versions=v1alpha1,name=stagednetworkpolicy.policy.apptier.dev,admissionReviewVersions=v1,timeoutSeconds=5,patch=`{"matchConditions":[{"name":"not-by-the-manager","expression":"request.userInfo.username != 'system:serviceaccount:' + 'system' + ':' + 'manager'"},{"name":"to-stay","expression":"!has(object.metadata.deletionTimestamp)"},{"name":"changed","expression":"oldObject == null || object.spec != oldObject.spec || object.metadata.?annotations[?'policy.apptier.dev/allow-widening'].orValue('') != oldObject.metadata.?annotations[?'policy.apptier.dev/allow-widening'].orValue('')"}]}`

// SetupWithManager registers the webhook at the manager's webhook server.
func (v StagedValidator) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewWebhookManagedBy(mgr, &v1alpha1.StagedNetworkPolicy{}).WithValidator(v).RecoverPanic(recoverPanic).Complete()
	if err != nil {
		return fmt.Errorf("setting up the StagedNetworkPolicy webhook: %w", err)
	}
	return nil
}

// ValidateCreate judges a new policy.
func (v StagedValidator) ValidateCreate(ctx context.Context, policy *v1alpha1.StagedNetworkPolicy) (admission.Warnings, error) {
	return v.answer(ctx, nil, policy)
}

// ValidateUpdate judges a change of what a policy says. A mistake from before the change is a warning.
func (v StagedValidator) ValidateUpdate(ctx context.Context, old, policy *v1alpha1.StagedNetworkPolicy) (admission.Warnings, error) {
	isSame := equality.Semantic.DeepEqual(old.Spec, policy.Spec) &&
		old.Annotations[widening.Annotation] == policy.Annotations[widening.Annotation]
	if !policy.DeletionTimestamp.IsZero() || isSame {
		return nil, nil
	}
	return v.answer(ctx, old, policy)
}

// ValidateDelete lets everything pass; it is not registered for deletions.
func (StagedValidator) ValidateDelete(context.Context, *v1alpha1.StagedNetworkPolicy) (admission.Warnings, error) {
	return nil, nil
}

func (v StagedValidator) answer(ctx context.Context, old, staged *v1alpha1.StagedNetworkPolicy) (admission.Warnings, error) {
	policy := staged.NetworkPolicy()
	of := subject{
		kind:      v1alpha1.GroupVersion.WithKind("StagedNetworkPolicy").GroupKind(),
		namespace: staged.Namespace, name: staged.Name, size: sizeOf(policy),
	}
	findings, err := v.Judging.within(ctx, of, func(work *check.Work) ([]check.Finding, error) {
		var before budget.Cost
		if old != nil {
			before = budget.Count(&old.Spec)
		}
		costs := withinBudget(v.Limits, []*networkingv1.NetworkPolicy{policy}, nil, before)
		if len(check.WithSeverity(costs, check.Reject)) > 0 {
			return costs, nil
		}
		findings := slices.Concat(lint.JudgeStaged(v.Cluster.current(), policy, work), costs)
		return ratchet(findings, func() []check.Finding {
			if old == nil {
				return nil
			}
			return lint.JudgeStaged(v.Cluster.current(), old.NetworkPolicy(), check.NewWork(mostSteps, ctx.Err))
		}), nil
	})
	if err != nil {
		return nil, err
	}
	return warnings(findings), refusal(of.kind, staged.Name, findings)
}
