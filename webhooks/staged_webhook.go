package webhooks

import (
	"context"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
)

// StagedValidator warns of what a hand-written StagedNetworkPolicy would leak or break if it were enforced. It refuses
// only what no NetworkPolicy can say, and what enforcers would not count.
type StagedValidator struct {
	passDeletions[*v1alpha1.StagedNetworkPolicy]

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
	return register(mgr, "StagedNetworkPolicy", &v1alpha1.StagedNetworkPolicy{}, v)
}

// ValidateCreate judges a new policy.
func (v StagedValidator) ValidateCreate(ctx context.Context, staged *v1alpha1.StagedNetworkPolicy) (admission.Warnings, error) {
	return v.answer(ctx, nil, staged.NetworkPolicy())
}

// ValidateUpdate judges a change of what a policy says. A mistake from before the change is a warning.
func (v StagedValidator) ValidateUpdate(ctx context.Context, was, staged *v1alpha1.StagedNetworkPolicy) (admission.Warnings, error) {
	old, policy := was.NetworkPolicy(), staged.NetworkPolicy()
	if needsNoJudgement(old, policy) {
		return nil, nil
	}
	return v.answer(ctx, old, policy)
}

func (v StagedValidator) answer(ctx context.Context, old, policy *networkingv1.NetworkPolicy) (admission.Warnings, error) {
	of := policyRequest(v1alpha1.GroupVersion.WithKind("StagedNetworkPolicy").GroupKind(), policy)
	return v.Judging.judged(ctx, of, func(work *check.Work) ([]check.Finding, error) {
		costs := withinBudget(v.Limits, []*networkingv1.NetworkPolicy{policy}, nil, costOf(old))
		if len(check.WithSeverity(costs, check.Reject)) > 0 {
			return costs, nil
		}
		findings := slices.Concat(lint.JudgeStaged(v.Cluster.current(), policy, work), costs)
		return ratchet(findings, func() []check.Finding {
			if old == nil {
				return nil
			}
			return lint.JudgeStaged(v.Cluster.current(), old, check.NewWork(mostSteps, ctx.Err))
		}), nil
	})
}
