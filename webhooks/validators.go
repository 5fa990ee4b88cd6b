package webhooks

import (
	"context"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/widening"
)

// recoverPanic is false: a panic ends the connection, so the API server applies failurePolicy. A recovered panic would be
// a refusal, even where the webhook must fail open.
const recoverPanic = false

// register serves a validator of one kind at the manager's webhook server.
func register[T runtime.Object](mgr ctrl.Manager, kind string, of T, validator admission.Validator[T]) error {
	if err := ctrl.NewWebhookManagedBy(mgr, of).WithValidator(validator).RecoverPanic(recoverPanic).Complete(); err != nil {
		return fmt.Errorf("setting up the %s webhook: %w", kind, err)
	}
	return nil
}

// passDeletions is the part of a validator that lets every deletion pass. No webhook is registered for deletions.
type passDeletions[T runtime.Object] struct{}

// ValidateDelete lets everything pass.
func (passDeletions[T]) ValidateDelete(context.Context, T) (admission.Warnings, error) {
	return nil, nil
}

// needsNoJudgement says whether an update of a policy passes as it is: the policy is being deleted, or says the same as
// before. Labels and finalizers must not depend on newer checks.
func needsNoJudgement(old, policy *networkingv1.NetworkPolicy) bool {
	isSame := equality.Semantic.DeepEqual(old.Spec, policy.Spec) &&
		old.Annotations[widening.Annotation] == policy.Annotations[widening.Annotation]
	return isSame || !policy.DeletionTimestamp.IsZero()
}

// policyRequest is the subject of a request about a policy of a kind.
func policyRequest(kind schema.GroupKind, policy *networkingv1.NetworkPolicy) subject {
	cost := budget.Count(&policy.Spec)
	size := fmt.Sprintf("%d rules with %d peers and %d ports", cost.Rules, cost.Peers+cost.Blocks, cost.Ports)
	return subject{kind: kind, namespace: policy.Namespace, name: policy.Name, size: size}
}

// costOf is what a policy asks for; of one that was not there, nothing.
func costOf(policy *networkingv1.NetworkPolicy) budget.Cost {
	if policy == nil {
		return budget.Cost{}
	}
	return budget.Count(&policy.Spec)
}

// judged answers a request with what was found: it refuses the object, or accepts it with warnings.
func (j *Judging) judged(ctx context.Context, of subject, judge func(*check.Work) ([]check.Finding, error)) (admission.Warnings, error) {
	findings, err := j.within(ctx, of, judge)
	if err != nil {
		return nil, err
	}
	return warnings(findings), refusal(of.kind, of.name, findings)
}
