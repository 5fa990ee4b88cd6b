package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
)

// ownerField is the index of cached NetworkPolicies by the name of the AppTier that they were generated
// from, or nobody, which cannot be the name of an AppTier.
const (
	ownerField = ".metadata.controller.apptier"
	nobody     = "/"
)

func indexPolicies(ctx context.Context, mgr ctrl.Manager) error {
	byOwner := func(object client.Object) []string { return []string{cmp.Or(v1alpha1.OwnerOf(object), nobody)} }
	return errors.Join(
		mgr.GetFieldIndexer().IndexField(ctx, &networkingv1.NetworkPolicy{}, ownerField, byOwner),
		mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.StagedNetworkPolicy{}, ownerField, byOwner))
}

// cachedPolicies returns, from the cache, the AppTier's policies, and other policies that have a desired
// name.
func (r *AppTierReconciler) cachedPolicies(ctx context.Context, app *v1alpha1.AppTier, desired []*networkingv1.NetworkPolicy) ([]*networkingv1.NetworkPolicy, error) {
	var own networkingv1.NetworkPolicyList
	if err := r.Client.List(ctx, &own, client.InNamespace(app.Namespace), client.MatchingFields{ownerField: app.Name}); err != nil {
		return nil, fmt.Errorf("listing the AppTier's NetworkPolicies: %w", err)
	}
	enforce, stage := names(desired), []string(nil)
	if app.Spec.Mode == v1alpha1.Audit {
		enforce, stage = stage, enforce
	}
	policies, err := r.withNames(ctx, r.Client, app.Namespace, environment.Pointers(own.Items), enforce)
	if err != nil {
		return nil, err
	}
	staged, err := r.cachedStaged(ctx, app, stage)
	return append(policies, staged...), err
}

// livePolicies returns the same as cachedPolicies, read from the API server.
func (r *AppTierReconciler) livePolicies(ctx context.Context, app *v1alpha1.AppTier, cached []*networkingv1.NetworkPolicy) ([]*networkingv1.NetworkPolicy, error) {
	var own networkingv1.NetworkPolicyList
	if err := r.Live.List(ctx, &own, client.InNamespace(app.Namespace), client.MatchingLabels{v1alpha1.LabelAppTier: app.Name}); err != nil {
		return nil, fmt.Errorf("listing the AppTier's NetworkPolicies: %w", err)
	}
	// Add policies without the label: foreign ones, or ones that lost it.
	// Each is asked for as its own kind alone: an AppTier of 64 tiers would ask 65 times for what is not there.
	enforced, staging := ofKinds(cached)
	policies, err := r.withNames(ctx, r.Live, app.Namespace, environment.Pointers(own.Items), names(enforced))
	if err != nil {
		return nil, err
	}
	staged, err := r.liveStaged(ctx, app, names(staging))
	return append(policies, staged...), err
}

// withNames adds the policies of these names that exist and are not among the given ones.
func (r *AppTierReconciler) withNames(ctx context.Context, from client.Reader, namespace string, policies []*networkingv1.NetworkPolicy, more []string) ([]*networkingv1.NetworkPolicy, error) {
	have := names(policies)
	for _, name := range more {
		if slices.Contains(have, name) {
			continue
		}
		policy := &networkingv1.NetworkPolicy{}
		err := from.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, policy)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading NetworkPolicy %s: %w", name, err)
		}
		policies = append(policies, policy)
	}
	return policies, nil
}

func names(policies []*networkingv1.NetworkPolicy) []string {
	var out []string
	for _, policy := range policies {
		out = append(out, policy.Name)
	}
	return out
}
