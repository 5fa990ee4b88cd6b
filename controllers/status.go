package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	applyconfiguration "github.com/apptier/apptier/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/widening"
)

// outcome is the result of a reconciliation.
type outcome struct {
	// rejected is why the spec was not applied; then nothing else is set.
	rejected []check.Finding
	mode     v1alpha1.Mode
	// policies are the desired policies.
	policies []*networkingv1.NetworkPolicy
	// applyErr is why the API server does not have all of them.
	applyErr error
	// unresolved are the references that are left out of the policies.
	unresolved []expand.Unresolved
	// openings are policies of others that open what the AppTier closes.
	openings []widening.Opening
	// tiers are the pods of each tier.
	tiers []v1alpha1.TierStatus
}

// report writes the status, if it differs from what it was.
func (r *AppTierReconciler) report(ctx context.Context, app *v1alpha1.AppTier, out outcome) error {
	if equality.Semantic.DeepEqual(r.status(app, out), &app.Status) {
		return nil
	}
	// The cache may lag behind the status that was written a moment ago: conditions that did not
	// change must not seem to have changed again.
	var now v1alpha1.AppTier
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(app), &now); err != nil {
		return client.IgnoreNotFound(err) // deleted in the meantime: there is no status to write
	}
	if now.UID != app.UID {
		return nil // deleted and created again: the next reconciliation handles it
	}
	now.Generation = app.Generation // the generation that the outcome describes
	status := r.status(&now, out)
	if equality.Semantic.DeepEqual(status, &now.Status) {
		return nil
	}
	config := applyconfiguration.AppTier(app.Name, app.Namespace).WithUID(app.UID).WithStatus(statusConfiguration(status))
	err := r.Client.Status().Apply(ctx, config, fieldOwner, client.ForceOwnership)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	r.announce(app, now.Status.Conditions, status.Conditions)
	return nil
}

// status is the new status for an outcome.
func (r *AppTierReconciler) status(app *v1alpha1.AppTier, out outcome) *v1alpha1.AppTierStatus {
	status := app.Status.DeepCopy()
	status.ObservedGeneration = app.Generation
	now := metav1.NewTime(r.Now())
	for _, condition := range []metav1.Condition{accepted(out), resolvedRefs(out), conflicted(out), ready(out)} {
		condition.ObservedGeneration = app.Generation
		condition.LastTransitionTime = now
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	if len(out.rejected) == 0 {
		status.Tiers = out.tiers
	}
	if len(out.rejected) == 0 && out.applyErr == nil {
		status.Policies = policyStatus(out.policies)
		status.PolicyCount = int32(len(status.Policies))
	}
	return status
}

func accepted(out outcome) metav1.Condition {
	if len(out.rejected) == 0 {
		return condition(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "the spec is valid")
	}
	var lines []string
	for _, finding := range out.rejected {
		lines = append(lines, finding.String())
	}
	return condition(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalid, strings.Join(lines, "\n"))
}

func resolvedRefs(out outcome) metav1.Condition {
	if len(out.rejected) > 0 {
		return condition(v1alpha1.ConditionResolvedRefs, metav1.ConditionUnknown, v1alpha1.ReasonInvalid, "the spec was not accepted")
	}
	if len(out.unresolved) > 0 {
		var lines []string
		for _, reference := range out.unresolved {
			lines = append(lines, reference.String())
		}
		return condition(v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, out.unresolved[0].Reason, strings.Join(lines, "\n"))
	}
	return condition(v1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, v1alpha1.ReasonResolved, "every reference was resolved")
}

// mostOpenings limits how many policies the condition Conflicted describes.
const mostOpenings = 10

func conflicted(out outcome) metav1.Condition {
	switch {
	case len(out.rejected) > 0:
		return condition(v1alpha1.ConditionConflicted, metav1.ConditionUnknown, v1alpha1.ReasonInvalid, "the spec was not accepted")
	case len(out.openings) == 0:
		return condition(v1alpha1.ConditionConflicted, metav1.ConditionFalse, v1alpha1.ReasonNotWidened, "no NetworkPolicy of the namespace opens what this AppTier closes")
	}
	status, reason := metav1.ConditionUnknown, v1alpha1.ReasonTooBigToJudge
	var lines []string
	for i, opening := range out.openings {
		if opening.Unjudged == nil {
			status, reason = metav1.ConditionTrue, v1alpha1.ReasonWidened
		}
		if i < mostOpenings {
			lines = append(lines, openingLine(opening))
		}
	}
	if more := len(out.openings) - mostOpenings; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return condition(v1alpha1.ConditionConflicted, status, reason, strings.Join(lines, "\n"))
}

func openingLine(opening widening.Opening) string {
	if opening.Unjudged != nil {
		return fmt.Sprintf("it is not known whether NetworkPolicy %s opens what this AppTier closes: %v; split it, or merge its rules", opening.Policy.Name, opening.Unjudged)
	}
	line := fmt.Sprintf("NetworkPolicy %s lets %s", opening.Policy.Name, opening.Example)
	if opening.Reason != "" {
		line += "; its reason: " + opening.Reason
	}
	return line
}

func ready(out outcome) metav1.Condition {
	switch {
	case len(out.rejected) > 0:
		return condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalid,
			"the spec was not accepted; the policies of the last accepted spec, if any, stay in place")
	case out.applyErr != nil:
		return condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, out.applyErr.Error()+"; the manager retries")
	case len(out.unresolved) > 0:
		return condition(v1alpha1.ConditionReady, metav1.ConditionFalse, out.unresolved[0].Reason,
			fmt.Sprintf("%s in place: %d; the references in the condition ResolvedRefs allow nothing until they are resolved", out.kind(), len(out.policies)))
	}
	return condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonApplied,
		fmt.Sprintf("%s in place: %d", out.kind(), len(out.policies)))
}

// kind is what the policies are.
func (o outcome) kind() string {
	if o.mode == v1alpha1.Audit {
		return "StagedNetworkPolicies"
	}
	return "NetworkPolicies"
}

// maxMessage is the longest message that the schema of metav1.Condition takes, in bytes.
const maxMessage = 32768

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage-3], "") + "..."
	}
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}

func policyStatus(policies []*networkingv1.NetworkPolicy) []v1alpha1.PolicyStatus {
	var list []v1alpha1.PolicyStatus
	for _, policy := range policies {
		list = append(list, v1alpha1.PolicyStatus{Name: policy.Name, Hash: hash(policy.Spec)})
	}
	return list
}

// hash is 16 hexadecimal digits, the same for the same spec.
func hash(spec networkingv1.NetworkPolicySpec) string {
	text, err := json.Marshal(spec)
	if err != nil { // plain data always marshals
		panic(fmt.Sprintf("marshalling a NetworkPolicySpec: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func statusConfiguration(status *v1alpha1.AppTierStatus) *applyconfiguration.AppTierStatusApplyConfiguration {
	config := applyconfiguration.AppTierStatus().
		WithObservedGeneration(status.ObservedGeneration).
		WithPolicyCount(status.PolicyCount)
	for _, c := range status.Conditions {
		if c.Type == v1alpha1.ConditionProgrammed || c.Type == v1alpha1.ConditionAudited {
			continue // others write these: the nodesReconciler, and package audit
		}
		config.WithConditions(metav1ac.Condition().
			WithType(c.Type).WithStatus(c.Status).WithReason(c.Reason).WithMessage(c.Message).
			WithObservedGeneration(c.ObservedGeneration).WithLastTransitionTime(c.LastTransitionTime))
	}
	for _, t := range status.Tiers {
		config.WithTiers(applyconfiguration.TierStatus().WithName(t.Name).WithMatchedPods(t.MatchedPods))
	}
	for _, p := range status.Policies {
		config.WithPolicies(applyconfiguration.PolicyStatus().WithName(p.Name).WithHash(p.Hash))
	}
	return config
}
