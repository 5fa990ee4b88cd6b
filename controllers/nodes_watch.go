package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/programmed"
)

// reportDelay batches the reports of nodes, which come in bursts, into one pass over an AppTier.
const reportDelay = 500 * time.Millisecond

func (r *nodesReconciler) setup(mgr ctrl.Manager, workers int) error {
	r.wrote = map[types.NamespacedName]time.Time{}
	return ctrl.NewControllerManagedBy(mgr).Named("nodes").
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, NewQueue: newFairQueue(workers)}).
		Watches(&v1alpha1.AppTier{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(policiesWritten())).
		Watches(&networkingv1.NetworkPolicy{}, r.ofPolicy(false)).
		Watches(&v1alpha1.StagedNetworkPolicy{}, r.ofPolicy(true)).
		Watches(&corev1.Pod{}, after(podDelay, r.inNamespace), builder.WithPredicates(movedOrMatching())).
		Watches(&v1alpha1.NodeReport{}, r.ofReport()).
		Complete(r)
}

type requestQueue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// policiesWritten drops what this reconciler writes itself.
func policiesWritten() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.AppTier)
		after, isApp := e.ObjectNew.(*v1alpha1.AppTier)
		if !ok || !isApp {
			return false
		}
		ready := func(app *v1alpha1.AppTier) string {
			if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady); c != nil {
				return c.Reason
			}
			return ""
		}
		return before.Generation != after.Generation || before.Status.ObservedGeneration != after.Status.ObservedGeneration ||
			ready(before) != ready(after) || !equality.Semantic.DeepEqual(before.Status.Policies, after.Status.Policies)
	}}
}

// ofPolicy maps a policy to the AppTier that it was generated from, and notes the version of a deletion.
func (r *nodesReconciler) ofPolicy(staged bool) handler.EventHandler {
	add := func(policy client.Object, queue requestQueue) {
		if name := v1alpha1.OwnerOf(policy); name != "" {
			queue.AddAfter(requestOf(policy.GetNamespace(), name), reportDelay)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q requestQueue) { add(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q requestQueue) { add(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q requestQueue) {
			if name := v1alpha1.OwnerOf(e.Object); name != "" {
				request := requestOf(e.Object.GetNamespace(), name)
				// The object in the event has the version of its deletion.
				r.removals.saw(request.NamespacedName, e.Object.GetUID(), versionsOf(e.Object.GetResourceVersion(), staged))
			}
			add(e.Object, q)
		},
	}
}

func requestOf(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// ofReport maps a report to the AppTiers that wait for the node. If it takes anything back, it is news to all with pods there.
func (r *nodesReconciler) ofReport() handler.EventHandler {
	add := func(queue requestQueue, apps ...types.NamespacedName) {
		for _, app := range apps {
			queue.AddAfter(reconcile.Request{NamespacedName: app}, reportDelay)
		}
	}
	more := func(object client.Object, queue requestQueue) {
		add(queue, r.waiting.of(object.GetName())...)
		add(queue, r.waiting.of(anyNode)...)
	}
	less := func(object client.Object, queue requestQueue) {
		add(queue, r.under.of(object.GetName())...)
		more(object, queue)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q requestQueue) { more(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q requestQueue) {
			before, ok := e.ObjectOld.(*v1alpha1.NodeReport)
			after, isReport := e.ObjectNew.(*v1alpha1.NodeReport)
			if ok && isReport && !adds(before.Status, after.Status) {
				less(e.ObjectNew, q)
				return
			}
			more(e.ObjectNew, q)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q requestQueue) {
			less(e.Object, q)
			if isAny, err := r.isAnyReport(ctx); err == nil && isAny {
				return
			}
			for _, request := range r.requests(ctx) { // no enforcer reports any more, which is so on every node
				add(q, request.NamespacedName)
			}
		},
	}
}

// isAnyReport says whether any node reports.
func (r *nodesReconciler) isAnyReport(ctx context.Context) (bool, error) {
	var any v1alpha1.NodeReportList
	if err := r.Client.List(ctx, &any, client.Limit(1), client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("listing NodeReports: %w", err)
	}
	return len(any.Items) > 0, nil
}

// adds says whether a report says no less than the one before.
func adds(before, after v1alpha1.NodeReportStatus) bool {
	higher := func(before, after string) bool {
		return programmed.ParseVersion(before) <= programmed.ParseVersion(after)
	}
	return before.Mode == after.Mode && equality.Semantic.DeepEqual(before.Problems, after.Problems) &&
		equality.Semantic.DeepEqual(before.NotAsWritten, after.NotAsWritten) &&
		higher(before.NetworkPolicies, after.NetworkPolicies) && higher(before.StagedNetworkPolicies, after.StagedNetworkPolicies)
}

func (r *nodesReconciler) inNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, client.InNamespace(object.GetNamespace()))
}

// movedOrMatching drops updates of pods after which they are under the same policies on the same node.
func movedOrMatching() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Pod)
		after, isPod := e.ObjectNew.(*corev1.Pod)
		return ok && isPod && (hasPackets(before) != hasPackets(after) || !equality.Semantic.DeepEqual(before.Labels, after.Labels))
	}}
}
