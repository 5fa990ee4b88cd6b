package controllers

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	applyconfiguration "github.com/apptier/apptier/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// nodesOwner owns the fields of the status that the nodesReconciler writes.
const nodesOwner = client.FieldOwner(v1alpha1.ManagedBy + "-nodes")

// mostNodes limits how many nodes the condition Programmed names.
const mostNodes = 3

// nodes is the part of the status that counts.
func (s onNodes) nodes() *v1alpha1.NodesStatus {
	done := s.desired - len(s.behind) - len(s.observing)
	return &v1alpha1.NodesStatus{
		Desired: int32(s.desired), Programmed: int32(done), Summary: fmt.Sprintf("%d/%d", done, s.desired),
		NetworkPolicies:       s.need.NetworkPolicies.String(),
		StagedNetworkPolicies: s.need.StagedNetworkPolicies.String(),
	}
}

// condition is the condition Programmed of an AppTier.
func (s onNodes) condition(app *v1alpha1.AppTier) metav1.Condition {
	const kind = v1alpha1.ConditionProgrammed
	ready := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || ready.Reason == v1alpha1.ReasonInvalid:
		return condition(kind, metav1.ConditionUnknown, v1alpha1.ReasonInvalid, "the spec was not accepted")
	case ready.Reason == v1alpha1.ReasonApplyFailed:
		return condition(kind, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, "not every policy could be written; see the condition Ready")
	case !s.reported:
		return condition(kind, metav1.ConditionUnknown, v1alpha1.ReasonNoEnforcer,
			"no enforcer of apptier reports; whether another one enforces the policies is not known")
	case !s.settled:
		return condition(kind, metav1.ConditionFalse, v1alpha1.ReasonNodesBehind, "the policies have just been written")
	case len(s.behind) > 0:
		return condition(kind, metav1.ConditionFalse, v1alpha1.ReasonNodesBehind,
			fmt.Sprintf("%d of %d nodes do not have the policies: %s", len(s.behind), s.desired, some(s.behind)))
	case len(s.observing) > 0:
		return condition(kind, metav1.ConditionUnknown, v1alpha1.ReasonNoEnforcer,
			fmt.Sprintf("the enforcers of %d of %d nodes only observe: %s; whether another one enforces the policies is not known",
				len(s.observing), s.desired, some(s.observing)))
	}
	return condition(kind, metav1.ConditionTrue, v1alpha1.ReasonAllNodes,
		fmt.Sprintf("all nodes with pods that the policies select have them in the kernel: %d", s.desired))
}

// some names the first of a list.
func some(list []string) string {
	if more := len(list) - mostNodes; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:mostNodes], ", "), more)
	}
	return strings.Join(list, ", ")
}

// differs says whether the status says something else.
func (s onNodes) differs(app *v1alpha1.AppTier) bool {
	want, have := s.condition(app), meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionProgrammed)
	return have == nil || have.Status != want.Status || have.Reason != want.Reason || have.Message != want.Message ||
		have.ObservedGeneration != app.Generation || !equality.Semantic.DeepEqual(s.nodes(), app.Status.Nodes)
}

func (r *nodesReconciler) write(ctx context.Context, app *v1alpha1.AppTier, s onNodes) error {
	now := s.condition(app)
	now.ObservedGeneration, now.LastTransitionTime = app.Generation, metav1.NewTime(r.Now())
	conditions := app.Status.DeepCopy().Conditions
	meta.SetStatusCondition(&conditions, now) // keeps the time while the status is the same
	c, nodes := meta.FindStatusCondition(conditions, v1alpha1.ConditionProgrammed), s.nodes()
	status := applyconfiguration.AppTierStatus().
		WithConditions(metav1ac.Condition().
			WithType(c.Type).WithStatus(c.Status).WithReason(c.Reason).WithMessage(c.Message).
			WithObservedGeneration(c.ObservedGeneration).WithLastTransitionTime(c.LastTransitionTime)).
		WithNodes(applyconfiguration.NodesStatus().
			WithDesired(nodes.Desired).WithProgrammed(nodes.Programmed).WithSummary(nodes.Summary))
	if nodes.NetworkPolicies != "" {
		status.Nodes.WithNetworkPolicies(nodes.NetworkPolicies)
	}
	if nodes.StagedNetworkPolicies != "" {
		status.Nodes.WithStagedNetworkPolicies(nodes.StagedNetworkPolicies)
	}
	config := applyconfiguration.AppTier(app.Name, app.Namespace).WithUID(app.UID).WithStatus(status)
	if err := r.Client.Status().Apply(ctx, config, nodesOwner, client.ForceOwnership); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("writing the state on nodes: %w", err))
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.wrote[client.ObjectKeyFromObject(app)] = r.Now()
	return nil
}
