package controllers

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// maxNote is the longest note of an Event, in bytes (events.k8s.io/v1 Event.Note).
const maxNote = 1024

// Actions of Events: what the controller was doing.
const (
	actionCheck = "Check"
	actionApply = "Apply"
)

// announce writes an Event for each condition that changed: a warning if it became worse. It ignores a
// new example of a conflict, which may change with every new pod.
func (r *AppTierReconciler) announce(app *v1alpha1.AppTier, before, after []metav1.Condition) {
	for _, now := range after {
		was := meta.FindStatusCondition(before, now.Type)
		if was != nil && was.Status == now.Status && was.Reason == now.Reason && was.Message == now.Message {
			continue
		}
		switch {
		case now.Type == v1alpha1.ConditionConflicted:
			if now.Status != metav1.ConditionFalse && now.Reason != v1alpha1.ReasonInvalid && (was == nil || was.Status != now.Status) {
				r.event(app, corev1.EventTypeWarning, now.Reason, actionCheck, now.Message)
			}
		case now.Status == metav1.ConditionFalse && now.Type != v1alpha1.ConditionReady:
			r.event(app, corev1.EventTypeWarning, now.Reason, actionCheck, now.Message)
		case now.Status == metav1.ConditionFalse && now.Reason == v1alpha1.ReasonApplyFailed:
			r.event(app, corev1.EventTypeWarning, now.Reason, actionApply, now.Message)
		case now.Status == metav1.ConditionTrue && now.Type == v1alpha1.ConditionReady:
			r.event(app, corev1.EventTypeNormal, now.Reason, actionApply, now.Message)
		}
	}
}

// writes are the names of policies that were written or removed.
type writes struct{ applied, deleted []string }

// called names the policy of a step; a NetworkPolicy, the usual kind, by its name alone.
func called(s step) string {
	if s.staged {
		return s.name + " (staged)"
	}
	return s.name
}

// announceWrites writes Events about policies that were written or removed.
func (r *AppTierReconciler) announceWrites(app *v1alpha1.AppTier, done writes) {
	if len(done.applied) > 0 {
		r.event(app, corev1.EventTypeNormal, "PoliciesApplied", actionApply, "applied NetworkPolicies: "+strings.Join(done.applied, ", "))
	}
	if len(done.deleted) > 0 {
		r.event(app, corev1.EventTypeNormal, "PoliciesDeleted", actionApply, "deleted NetworkPolicies: "+strings.Join(done.deleted, ", "))
	}
}

func (r *AppTierReconciler) event(app *v1alpha1.AppTier, kind, reason, action, note string) {
	if r.Events == nil {
		return
	}
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-3], "") + "..."
	}
	r.Events.Eventf(app, nil, kind, reason, action, "%s", note)
}
