package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
)

// countPods counts the pods of each tier, in the order of the spec.
func (r *AppTierReconciler) countPods(ctx context.Context, app *v1alpha1.AppTier) ([]v1alpha1.TierStatus, error) {
	if len(app.Spec.Tiers) == 0 {
		return nil, nil
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(app.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	counts := make([]v1alpha1.TierStatus, len(app.Spec.Tiers))
	for i, tier := range app.Spec.Tiers {
		counts[i].Name = tier.Name
		selector, err := metav1.LabelSelectorAsSelector(&tier.PodSelector)
		if err != nil {
			return nil, fmt.Errorf("reading the selector of tier %s: %w", tier.Name, err)
		}
		for j := range pods.Items {
			if pod := &pods.Items[j]; isolatable(pod) && selector.Matches(labels.Set(pod.Labels)) {
				counts[i].MatchedPods++
			}
		}
	}
	return counts, nil
}

// isolatable says whether policies apply to a pod: a finished pod has no network any more, and a pod on
// the host's network has the node's.
func isolatable(pod *corev1.Pod) bool {
	return !pod.Spec.HostNetwork && !kube.Finished(pod)
}
