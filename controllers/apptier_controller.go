package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// AppTierReconciler keeps the NetworkPolicies of AppTiers.
type AppTierReconciler struct {
	// Client reads from a cache and writes to the API server. SetupWithManager sets it, and Live.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// DNSService is the Service of the cluster's DNS.
	DNSService types.NamespacedName
	// ClusterNetworks are further ranges that are not part of the internet.
	ClusterNetworks []netip.Prefix
	// Now is the time of condition changes.
	Now func() time.Time
	// Events reports changes to people. SetupWithManager sets it.
	Events events.EventRecorder

	written  written
	removals removals
}

// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers,verbs=get;list;watch
// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers/status,verbs=get;patch
// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers/finalizers,verbs=update
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy.apptier.dev,resources=stagednetworkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy.apptier.dev,resources=nodereports,verbs=get;list;watch
// +kubebuilder:rbac:groups=core,resources=services;pods;nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager registers the reconciler. It runs when an AppTier changes, one of its policies, or an
// object that either depends on. The manager's cache should have CacheOptions.
func (r *AppTierReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.Client, r.Live, r.Events = mgr.GetClient(), mgr.GetAPIReader(), mgr.GetEventRecorder(v1alpha1.ManagedBy)
	if err := indexPolicies(context.Background(), mgr); err != nil {
		return fmt.Errorf("indexing NetworkPolicies: %w", err)
	}
	if err := indexReferences(context.Background(), mgr); err != nil {
		return fmt.Errorf("indexing AppTiers: %w", err)
	}
	workers := max(1, mgr.GetControllerOptions().MaxConcurrentReconciles)
	b := ctrl.NewControllerManagedBy(mgr).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, NewQueue: newFairQueue(workers)}).
		For(&v1alpha1.AppTier{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&networkingv1.NetworkPolicy{}).
		Owns(&v1alpha1.StagedNetworkPolicy{})
	if err := r.watch(b).Complete(r); err != nil {
		return fmt.Errorf("setting up the AppTier controller: %w", err)
	}
	if err := (&nodesReconciler{AppTierReconciler: r}).setup(mgr, workers); err != nil {
		return fmt.Errorf("setting up the controller of AppTiers on nodes: %w", err)
	}
	return nil
}

// Reconcile updates the policies of one AppTier: gather, decide, apply, report.
//
// The garbage collector removes the policies of a deleted AppTier, which owns them all.
func (r *AppTierReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var app v1alpha1.AppTier
	if err := r.Client.Get(ctx, request.NamespacedName, &app); err != nil {
		if apierrors.IsNotFound(err) {
			r.written.forget(request.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	if !app.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	meaning, err := lint.MeaningOf(&app, func() (expand.Environment, error) { return r.environment(ctx, &app) })
	if err != nil {
		return ctrl.Result{}, err
	}
	rejected := check.WithSeverity(meaning.Findings, check.Reject)
	conflicts, err := r.conflicts(ctx, &app)
	if err != nil {
		return ctrl.Result{}, err
	}
	if rejected = append(rejected, conflicts...); len(rejected) > 0 {
		// Keep what was applied for an earlier, valid generation: half a change is worse than none.
		return ctrl.Result{}, r.report(ctx, &app, outcome{rejected: rejected})
	}
	out, err := r.converge(ctx, &app, meaning.Expansion)
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, errors.Join(out.applyErr, r.report(ctx, &app, out))
}

// environment looks up what an AppTier refers to.
func (r *AppTierReconciler) environment(ctx context.Context, app *v1alpha1.AppTier) (expand.Environment, error) {
	settings := environment.Settings{DNSService: r.DNSService, ClusterNetworks: r.ClusterNetworks}
	return settings.Of(ctx, model.ReferencesOf(app), environment.Cached{Reader: r.Client})
}

// converge writes the AppTier's policies and removes the obsolete ones. It returns an error if the
// desired state could not be determined.
func (r *AppTierReconciler) converge(ctx context.Context, app *v1alpha1.AppTier, expansion expand.Expansion) (outcome, error) {
	tiers, err := r.countPods(ctx, app)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{mode: app.Spec.Mode, policies: expansion.Policies, unresolved: expansion.Unresolved, tiers: tiers}
	out.applyErr = r.applyPolicies(ctx, app, expansion.Policies)
	if out.openings, err = r.openings(ctx, app, expansion.Policies); err != nil {
		return outcome{}, errors.Join(out.applyErr, err)
	}
	return out, nil
}

// applyPolicies updates the policies in the API server to the desired ones.
func (r *AppTierReconciler) applyPolicies(ctx context.Context, app *v1alpha1.AppTier, desired []*networkingv1.NetworkPolicy) error {
	key := client.ObjectKeyFromObject(app)
	current, err := r.cachedPolicies(ctx, app, desired)
	if err != nil {
		return err
	}
	if r.written.shownBy(key, current) {
		if err := r.bringAbout(ctx, app, desired, current); !apierrors.IsConflict(err) {
			return err
		}
		// Another client has written a policy that the cache does not show yet.
	}
	if current, err = r.livePolicies(ctx, app, current); err != nil {
		return err
	}
	r.written.read(key, current)
	return r.bringAbout(ctx, app, desired, current)
}

// bringAbout makes a plan and executes it.
func (r *AppTierReconciler) bringAbout(ctx context.Context, app *v1alpha1.AppTier, desired, current []*networkingv1.NetworkPolicy) error {
	todo, err := newRollout(app, desired, current)
	if err != nil {
		return err
	}
	return r.execute(ctx, app, todo)
}
