package controllers

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
)

// kindStaged marks staged policies. This package keeps them as the NetworkPolicies that they would be.
const kindStaged = "StagedNetworkPolicy"

func isStaged(policy *networkingv1.NetworkPolicy) bool { return policy.Kind == kindStaged }

// kindOf is the kind that a policy has in the API server.
func kindOf(staged bool) string {
	if staged {
		return kindStaged
	}
	return "NetworkPolicy"
}

// asStaged returns a policy as a staged one. It shares everything else.
func asStaged(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	out := *policy
	out.Kind = kindStaged
	return &out
}

// newRollout plans the change from the existing policies to those of the AppTier's mode.
//
// To audit, stage first, then stop enforcing: open all enforced policies before removing any, because of two policies that
// select one pod, the second denies what the first one allowed. To enforce, write all policies first, then remove the
// staged ones.
func newRollout(app *v1alpha1.AppTier, desired, current []*networkingv1.NetworkPolicy) (plan, error) {
	enforced, staged := ofKinds(current)
	if app.Spec.Mode != v1alpha1.Audit {
		todo, err := newPlan(app, desired, enforced)
		if err != nil {
			return nil, err
		}
		remove, err := newStaging(app, nil, staged)
		return append(todo, remove...), err
	}
	todo, err := newStaging(app, desired, staged)
	if err != nil {
		return nil, err
	}
	remove, err := newPlan(app, nil, enforced)
	if err != nil {
		return nil, err
	}
	if len(remove) > 1 {
		todo = append(todo, opened(app, remove)...)
	}
	return append(todo, remove...), nil
}

// ofKinds parts policies that are enforced from staged ones.
func ofKinds(policies []*networkingv1.NetworkPolicy) (enforced, staged []*networkingv1.NetworkPolicy) {
	for _, policy := range policies {
		if isStaged(policy) {
			staged = append(staged, policy)
		} else {
			enforced = append(enforced, policy)
		}
	}
	return enforced, staged
}

// newStaging plans the staged policies. They deny nothing, so their order does not matter.
func newStaging(app *v1alpha1.AppTier, desired, current []*networkingv1.NetworkPolicy) (plan, error) {
	existing := map[string]*networkingv1.NetworkPolicy{}
	for _, have := range current {
		existing[have.Name] = have
	}
	var todo plan
	for _, policy := range desired {
		want, have := asStaged(policy), existing[policy.Name]
		want.OwnerReferences = owners(app, want.Name, nil)
		switch {
		case have == nil:
		case !generatedFrom(app, have):
			return nil, &NameTakenError{Kind: kindStaged, Namespace: have.Namespace, Name: have.Name}
		case upToDate(want, have):
			continue
		}
		todo = append(todo, step{name: want.Name, staged: true, want: want, have: have})
	}
	wanted := names(desired)
	for _, have := range current {
		if generatedFrom(app, have) && !slices.Contains(wanted, have.Name) {
			todo = append(todo, step{name: have.Name, staged: true, have: have})
		}
	}
	return todo, nil
}

// opened are steps that make policies allow everything before they are removed.
func opened(app *v1alpha1.AppTier, removals plan) plan {
	var todo plan
	for _, s := range removals {
		open := &networkingv1.NetworkPolicy{Spec: *s.have.Spec.DeepCopy()}
		open.Namespace, open.Name, open.Labels = s.have.Namespace, s.have.Name, labelsOf(app, s.have)
		open.OwnerReferences = owners(app, open.Name, nil)
		open.Spec.Ingress, open.Spec.Egress = []networkingv1.NetworkPolicyIngressRule{{}}, []networkingv1.NetworkPolicyEgressRule{{}}
		if !upToDate(open, s.have) {
			todo = append(todo, step{name: s.name, want: open, have: s.have})
		}
	}
	return todo
}

// cachedStaged is cachedPolicies for StagedNetworkPolicies.
func (r *AppTierReconciler) cachedStaged(ctx context.Context, app *v1alpha1.AppTier, wanted []string) ([]*networkingv1.NetworkPolicy, error) {
	return stagedFrom(ctx, r.Client, app, wanted, client.MatchingFields{ownerField: app.Name})
}

// liveStaged is livePolicies for StagedNetworkPolicies.
func (r *AppTierReconciler) liveStaged(ctx context.Context, app *v1alpha1.AppTier, wanted []string) ([]*networkingv1.NetworkPolicy, error) {
	return stagedFrom(ctx, r.Live, app, wanted, client.MatchingLabels{v1alpha1.LabelAppTier: app.Name})
}

func stagedFrom(ctx context.Context, from client.Reader, app *v1alpha1.AppTier, wanted []string, own client.ListOption) ([]*networkingv1.NetworkPolicy, error) {
	var list v1alpha1.StagedNetworkPolicyList
	if err := from.List(ctx, &list, client.InNamespace(app.Namespace), own); err != nil {
		return nil, fmt.Errorf("listing the AppTier's StagedNetworkPolicies: %w", err)
	}
	var out []*networkingv1.NetworkPolicy
	for i := range list.Items {
		out = append(out, asStaged(list.Items[i].NetworkPolicy()))
	}
	have := names(out)
	for _, name := range wanted {
		if slices.Contains(have, name) {
			continue
		}
		var policy v1alpha1.StagedNetworkPolicy
		err := from.Get(ctx, types.NamespacedName{Namespace: app.Namespace, Name: name}, &policy)
		switch {
		case err == nil:
			out = append(out, asStaged(policy.NetworkPolicy()))
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("reading StagedNetworkPolicy %s: %w", name, err)
		}
	}
	return out, nil
}
