package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
)

// AppTierReconciler keeps the NetworkPolicies of AppTiers.
type AppTierReconciler struct {
	// Client reads from a cache and writes to the API server. SetupWithManager sets it, and Live.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// DNSService is the Service that the cluster's DNS is reached by.
	DNSService types.NamespacedName
	// ClusterNetworks are not part of the internet, beside the ranges that never are.
	ClusterNetworks []netip.Prefix
	// Now is the time of condition changes.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers,verbs=get;list;watch
// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers/status,verbs=get;patch
// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers/finalizers,verbs=update
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=core,resources=services,verbs=get;list;watch

// SetupWithManager has the reconciler called when an AppTier, one of its policies, or the DNS
// Service changes.
func (r *AppTierReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.Client, r.Live = mgr.GetClient(), mgr.GetAPIReader()
	if err := indexPolicies(context.Background(), mgr); err != nil {
		return fmt.Errorf("indexing NetworkPolicies: %w", err)
	}
	err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.AppTier{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&networkingv1.NetworkPolicy{}).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(r.everyAppTier), builder.WithPredicates(r.isDNSService())).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the AppTier controller: %w", err)
	}
	return nil
}

func (r *AppTierReconciler) isDNSService() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(object client.Object) bool {
		return client.ObjectKeyFromObject(object) == r.DNSService
	})
}

// everyAppTier maps a change of something that all AppTiers depend on.
func (r *AppTierReconciler) everyAppTier(ctx context.Context, _ client.Object) []reconcile.Request {
	var apps v1alpha1.AppTierList
	if err := r.Client.List(ctx, &apps); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing AppTiers")
		return nil
	}
	requests := make([]reconcile.Request, len(apps.Items))
	for i := range apps.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&apps.Items[i])
	}
	return requests
}

// Reconcile brings the policies of one AppTier in line with it: gather, decide, apply, report.
//
// What remains of a deleted AppTier is the garbage collector's: every policy is owned by it.
func (r *AppTierReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var app v1alpha1.AppTier
	if err := r.Client.Get(ctx, request.NamespacedName, &app); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !app.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	if rejected := lint.WithSeverity(lint.AppTier(&app), lint.Reject); len(rejected) > 0 {
		// What was applied for an earlier, valid generation stays: half a change is none.
		return ctrl.Result{}, r.report(ctx, &app, outcome{rejected: rejected})
	}
	desired, applyErr := r.applyPolicies(ctx, &app)
	return ctrl.Result{}, errors.Join(applyErr, r.report(ctx, &app, outcome{policies: desired, applyErr: applyErr}))
}

// applyPolicies writes the AppTier's policies and removes those it no longer wants.
func (r *AppTierReconciler) applyPolicies(ctx context.Context, app *v1alpha1.AppTier) ([]*networkingv1.NetworkPolicy, error) {
	env, err := r.environment(ctx)
	if err != nil {
		return nil, err
	}
	desired := expand.NetworkPolicies(app, env)
	current, err := r.cachedPolicies(ctx, app, desired)
	if err != nil {
		return desired, err
	}
	todo, err := newPlan(app, desired, current)
	if err == nil && len(todo) == 0 && settled(app) {
		return desired, nil
	}
	// The cache may lag behind what was written a moment ago, and a plan that misses a policy may
	// remove another too early. So what is going to write looks first.
	if current, err = r.livePolicies(ctx, app, current); err != nil {
		return desired, err
	}
	if todo, err = newPlan(app, desired, current); err != nil {
		return desired, err
	}
	return desired, r.execute(ctx, app, todo)
}

// settled says whether the status already tells that this generation is in place.
func settled(app *v1alpha1.AppTier) bool {
	ready := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == app.Generation
}
