package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
)

// fieldOwner owns every field that this package writes.
const fieldOwner = client.FieldOwner(v1alpha1.ManagedBy)

// execute carries out a plan, and stops at the first failure: what follows in a plan may deny what
// comes before it in the plan allows.
func (r *AppTierReconciler) execute(ctx context.Context, app *v1alpha1.AppTier, todo plan) error {
	log := ctrl.LoggerFrom(ctx)
	for _, policy := range todo.apply {
		config, err := applyConfiguration(app, policy)
		if err != nil {
			return err
		}
		// Forced: a field that someone else changed by hand is taken back.
		if err := r.Client.Apply(ctx, config, fieldOwner, client.ForceOwnership); err != nil {
			return fmt.Errorf("applying NetworkPolicy %s: %w", policy.Name, err)
		}
		log.Info("applied NetworkPolicy", "policy", policy.Name)
	}
	for _, policy := range todo.prune {
		// The preconditions keep a policy that someone replaced in the meantime.
		same := client.Preconditions{UID: &policy.UID, ResourceVersion: &policy.ResourceVersion}
		if err := r.Client.Delete(ctx, policy, same); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting NetworkPolicy %s: %w", policy.Name, err)
		}
		log.Info("deleted NetworkPolicy", "policy", policy.Name)
	}
	return nil
}

// applyConfiguration says everything that is wanted of a policy, and nothing else.
func applyConfiguration(app *v1alpha1.AppTier, policy *networkingv1.NetworkPolicy) (*networkingv1ac.NetworkPolicyApplyConfiguration, error) {
	spec, err := specConfiguration(policy.Spec)
	if err != nil {
		return nil, fmt.Errorf("converting NetworkPolicy %s: %w", policy.Name, err)
	}
	owner := metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind("AppTier").
		WithName(app.Name).
		WithUID(app.UID).
		WithController(true).
		WithBlockOwnerDeletion(true)
	return networkingv1ac.NetworkPolicy(policy.Name, policy.Namespace).
		WithLabels(policy.Labels).
		WithOwnerReferences(owner).
		WithSpec(spec), nil
}

// specConfiguration converts by way of JSON: an apply configuration has the fields of its type,
// each optional.
func specConfiguration(spec networkingv1.NetworkPolicySpec) (*networkingv1ac.NetworkPolicySpecApplyConfiguration, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	config := networkingv1ac.NetworkPolicySpec()
	return config, json.Unmarshal(text, config)
}
