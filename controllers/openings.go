package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/widening"
	"github.com/apptier/apptier/policy/lint/world"
)

// +kubebuilder:rbac:groups=core,resources=namespaces,verbs=get;list;watch

// openings are the hand-written policies of the AppTier's namespace that open what it closes: with a
// reason, because they are older, or because admission missed them. Nearly every namespace has no
// hand-written policy, and costs one index look-up.
//
// The answer uses only what the watches below follow: the pods of the namespace, and every namespace.
// So it depends on the objects, not on which of them happened to be in the cache.
func (r *AppTierReconciler) openings(ctx context.Context, app *v1alpha1.AppTier, desired []*networkingv1.NetworkPolicy) ([]widening.Opening, error) {
	handWritten, err := r.handWritten(ctx, client.InNamespace(app.Namespace))
	if err != nil || len(handWritten) == 0 {
		return nil, err
	}
	known := world.World{Whole: true, Known: world.Parts{Namespaces: true, Pods: true, Policies: true}, Policies: handWritten}
	var policies networkingv1.NetworkPolicyList
	if err := r.Client.List(ctx, &policies, client.InNamespace(app.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the NetworkPolicies of the namespace: %w", err)
	}
	known.Generated = slices.DeleteFunc(environment.Pointers(policies.Items), func(policy *networkingv1.NetworkPolicy) bool {
		owner := v1alpha1.OwnerOf(policy)
		return owner == "" || owner == app.Name
	})
	known.Generated = append(known.Generated, desired...)
	slices.SortFunc(known.Generated, func(a, b *networkingv1.NetworkPolicy) int { return cmp.Compare(a.Name, b.Name) })
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(app.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	var namespaces corev1.NamespaceList
	if err := r.Client.List(ctx, &namespaces, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	known.Pods, known.Namespaces = environment.Pointers(pods.Items), environment.Pointers(namespaces.Items)
	return lint.Openings(app, known, mostSteps), nil
}

// mostSteps limits the steps of judging one hand-written policy in each pass over an AppTier: a fifth of a second.
// Admission allows more, because it judges once.
const mostSteps = 2_000_000

// handWritten are the policies that no AppTier owns. They must not be changed.
func (r *AppTierReconciler) handWritten(ctx context.Context, options ...client.ListOption) ([]*networkingv1.NetworkPolicy, error) {
	var list networkingv1.NetworkPolicyList
	options = append(options, client.MatchingFields{ownerField: nobody}, client.UnsafeDisableDeepCopy)
	if err := r.Client.List(ctx, &list, options...); err != nil {
		return nil, fmt.Errorf("listing hand-written NetworkPolicies: %w", err)
	}
	return environment.Pointers(list.Items), nil
}

// besidePolicy: the AppTiers of a policy's namespace, if it is hand-written, or if a hand-written policy
// there may depend on what it declares.
func (r *AppTierReconciler) besidePolicy(ctx context.Context, object client.Object) []reconcile.Request {
	if v1alpha1.OwnerOf(object) == "" {
		return r.requests(ctx, client.InNamespace(object.GetNamespace()))
	}
	return r.besideHandWritten(ctx, object)
}

// besideHandWritten: the AppTiers of an object's namespace, if it has hand-written policies.
func (r *AppTierReconciler) besideHandWritten(ctx context.Context, object client.Object) []reconcile.Request {
	if policies, err := r.handWritten(ctx, client.InNamespace(object.GetNamespace())); err == nil && len(policies) == 0 {
		return nil
	}
	return r.requests(ctx, client.InNamespace(object.GetNamespace()))
}

// peersIn: the AppTiers of namespaces with hand-written policies whose peers may be in a namespace.
func (r *AppTierReconciler) peersIn(ctx context.Context, namespace client.Object) []reconcile.Request {
	policies, err := r.handWritten(ctx)
	if err != nil {
		return nil // a cache with the index never fails
	}
	var names []string
	for _, policy := range policies {
		if slices.ContainsFunc(namespaceSelectors(policy), func(s labels.Selector) bool { return s.Matches(labels.Set(namespace.GetLabels())) }) {
			names = append(names, policy.Namespace)
		}
	}
	slices.Sort(names)
	var requests []reconcile.Request
	for _, name := range slices.Compact(names) {
		requests = append(requests, r.requests(ctx, client.InNamespace(name))...)
	}
	return requests
}

// namespaceSelectors are those of a policy's peers.
func namespaceSelectors(policy *networkingv1.NetworkPolicy) []labels.Selector {
	var peers []networkingv1.NetworkPolicyPeer
	for _, rule := range kube.AllRules(policy) {
		peers = append(peers, rule.Peers...)
	}
	var selectors []labels.Selector
	for _, peer := range peers {
		if selector, err := metav1.LabelSelectorAsSelector(peer.NamespaceSelector); err == nil { // none selects nothing
			selectors = append(selectors, selector)
		}
	}
	return selectors
}

// afterStart drops objects from before the manager started: every AppTier is reconciled at start anyway.
func afterStart() predicate.Predicate {
	return predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }}
}

// judgedAnew drops updates of pods after which hand-written policies are judged as before.
func judgedAnew() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Pod)
		after, isPod := e.ObjectNew.(*corev1.Pod)
		return ok && isPod && (!equality.Semantic.DeepEqual(before.Status.PodIPs, after.Status.PodIPs) ||
			!equality.Semantic.DeepEqual(before.Labels, after.Labels) || isolatable(before) != isolatable(after))
	}}
}
