package doctor

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// appTiers tells which AppTiers are not in force as written, and which are opened by other policies.
func appTiers(f *Facts, _ time.Time) []Finding {
	if f.Groups.Unread == "" && !slices.Contains(f.Groups.Items, v1alpha1.GroupVersion.Group) {
		return nil // that the kind is missing is said already
	}
	if out := unread(checkAppTiers, f.AppTiers.Unread); out != nil {
		return out
	}
	var out []Finding
	for _, app := range f.AppTiers.Items {
		out = append(out, appTier(&app)...)
	}
	if len(out) > 0 {
		return out
	}
	return pass(checkAppTiers, "all %d AppTiers are ready", len(f.AppTiers.Items))
}

// fixesOfReasons are what to do about an AppTier that is not ready, by the reason.
var fixesOfReasons = map[string]string{
	v1alpha1.ReasonInvalid:         "edit the spec as the condition Accepted says",
	v1alpha1.ReasonApplyFailed:     "see the message, and the managers' log; it is tried again",
	v1alpha1.ReasonRefNotFound:     "create what the condition ResolvedRefs names, or take the reference out; it heals by itself",
	v1alpha1.ReasonPeerNotAccepted: "have the owner of the other AppTier name this one, too",
	v1alpha1.ReasonUnsupportedRef:  "use another kind of peer: the condition ResolvedRefs says which",
}

func appTier(app *v1alpha1.AppTier) []Finding {
	var out []Finding
	object := names("AppTier", []string{app.Namespace + "/" + app.Name})
	describe := "kubectl describe apptier -n " + app.Namespace + " " + app.Name
	add := func(status Status, message, fix string) {
		out = append(out, Finding{Check: checkAppTiers, Status: status, Objects: object, Message: message, Fix: fix})
	}
	at := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case !app.DeletionTimestamp.IsZero():
		return nil
	case at == nil || app.Status.ObservedGeneration < app.Generation:
		add(Fail, "no manager has seen it as it is now", "wait for a moment, and see whether a manager leads: kubectl get lease -A "+
			"manager.policy.apptier.dev")
	case at.Status != metav1.ConditionTrue:
		add(Fail, "Ready is "+string(at.Status)+": "+at.Message, cmp.Or(fixesOfReasons[at.Reason], describe)+": "+describe)
	}
	if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionConflicted); c != nil && c.Reason != v1alpha1.ReasonInvalid &&
		slices.Contains([]metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionUnknown}, c.Status) {
		add(Warn, "Conflicted is "+string(c.Status)+": "+c.Message, "delete or narrow the NetworkPolicy that the message names: "+describe)
	}
	return out
}
