package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/programmed"
)

// apart is the time between two writes of one AppTier's state on nodes, at least: in a rollout nodes report one by one.
const apart = 2 * time.Second

// nodesReconciler says on how many nodes the policies of AppTiers are in force. It is apart from the AppTierReconciler,
// because nodes and pods change far more often than what policies depend on. It writes a part of the status of its own.
type nodesReconciler struct {
	*AppTierReconciler
	// waiting are the AppTiers that wait for nodes to report, and under are those with pods on them.
	waiting, under perNode

	mutex sync.Mutex
	wrote map[types.NamespacedName]time.Time
}

// Reconcile compares what nodes have reported with the policies of one AppTier.
func (r *nodesReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var app v1alpha1.AppTier
	if err := r.Client.Get(ctx, request.NamespacedName, &app); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(request.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !app.DeletionTimestamp.IsZero() || app.Status.ObservedGeneration != app.Generation {
		return ctrl.Result{}, nil // the other reconciler has yet to say what it has written for it
	}
	state, err := r.stateOf(ctx, &app)
	if err != nil {
		return ctrl.Result{}, err
	}
	result := ctrl.Result{}
	if !state.settled {
		result.RequeueAfter = awaitAtMost
	}
	if !state.differs(&app) {
		return result, nil
	}
	if wait := r.early(request.NamespacedName); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return result, r.write(ctx, &app, state)
}

// early is how long the next write has to wait.
func (r *nodesReconciler) early(app types.NamespacedName) time.Duration {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return apart - r.Now().Sub(r.wrote[app])
}

func (r *nodesReconciler) forget(app types.NamespacedName) {
	r.waiting.set(app, nil)
	r.under.set(app, nil)
	r.removals.forget(app)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.wrote, app)
}

// onNodes is how far an AppTier's policies are in force.
type onNodes struct {
	need programmed.Need
	// settled says that the need is known: the cache shows what was written.
	settled bool
	// reported says that there is any report.
	reported          bool
	desired           int
	behind, observing []string // with why
}

// stateOf finds out how far an AppTier's policies are in force.
func (r *nodesReconciler) stateOf(ctx context.Context, app *v1alpha1.AppTier) (onNodes, error) {
	policies, err := r.cachedPolicies(ctx, app, nil)
	if err != nil {
		return onNodes{}, err
	}
	state := onNodes{}
	state.need, state.settled = r.needOf(app, policies)
	nodes, err := r.nodesUnder(ctx, app.Namespace, policies)
	if err != nil {
		return onNodes{}, err
	}
	state.desired = len(nodes)
	// Before reports are read: one that comes meanwhile must not be missed.
	key := client.ObjectKeyFromObject(app)
	r.under.set(key, nodes)
	r.waiting.set(key, append(slices.Clone(nodes), anyNode))
	var wait []string
	for _, node := range nodes {
		verdict, why, err := r.on(ctx, node, state.need)
		switch {
		case err != nil:
			return onNodes{}, err
		case verdict == programmed.Behind:
			state.behind = append(state.behind, fmt.Sprintf("%s (%s)", node, why))
			wait = append(wait, node)
		case verdict == programmed.NotOurs:
			state.observing = append(state.observing, node)
			wait = append(wait, node)
		}
	}
	if state.reported, err = r.isAnyReport(ctx); err != nil {
		return onNodes{}, err
	}
	if !state.reported {
		wait = append(wait, anyNode)
	}
	r.waiting.set(key, wait)
	return state, nil
}

func (r *nodesReconciler) on(ctx context.Context, node string, need programmed.Need) (programmed.Verdict, string, error) {
	report := &v1alpha1.NodeReport{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: node}, report)
	if apierrors.IsNotFound(err) {
		report, err = nil, nil
	}
	if err != nil {
		return programmed.Behind, "", fmt.Errorf("reading NodeReport %s: %w", node, err)
	}
	verdict, why := need.On(report)
	return verdict, why, nil
}

// needOf is what nodes must have, and whether that is all.
func (r *nodesReconciler) needOf(app *v1alpha1.AppTier, policies []*networkingv1.NetworkPolicy) (need programmed.Need, settled bool) {
	key := client.ObjectKeyFromObject(app)
	need.Enforced = app.Spec.Mode != v1alpha1.Audit
	need.Versions, settled = r.removals.last(key, r.Now())
	if known := app.Status.Nodes; known != nil { // by the leader before
		need.Versions = later(need.Versions, programmed.Versions{
			NetworkPolicies:       programmed.ParseVersion(known.NetworkPolicies),
			StagedNetworkPolicies: programmed.ParseVersion(known.StagedNetworkPolicies),
		})
	}
	for _, policy := range policies {
		need.Versions = later(need.Versions, versionsOf(policy.ResourceVersion, isStaged(policy)))
		if !isStaged(policy) {
			need.Policies = append(need.Policies, policy.Namespace+"/"+policy.Name)
		}
	}
	return need, r.written.shownBy(key, policies) && settled
}

// nodesUnder are the nodes with pods that the policies select, sorted. A pod without an address has no packets yet.
func (r *nodesReconciler) nodesUnder(ctx context.Context, namespace string, policies []*networkingv1.NetworkPolicy) ([]string, error) {
	var selectors []labels.Selector
	for _, policy := range policies {
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		if err != nil {
			return nil, fmt.Errorf("reading the selector of NetworkPolicy %s: %w", policy.Name, err)
		}
		selectors = append(selectors, selector)
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	nodes := map[string]bool{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !hasPackets(pod) || nodes[pod.Spec.NodeName] {
			continue
		}
		if slices.ContainsFunc(selectors, func(s labels.Selector) bool { return s.Matches(labels.Set(pod.Labels)) }) {
			nodes[pod.Spec.NodeName] = true
		}
	}
	return slices.Sorted(maps.Keys(nodes)), nil
}

// hasPackets says whether a node has to enforce anything for a pod.
func hasPackets(pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" && len(pod.Status.PodIPs) > 0 && isolatable(pod)
}
