package agent

import (
	"context"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	apptierv1alpha1 "github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/reach"
)

// List reads a snapshot from the API server once. Staged policies may be nil, and their kind may be missing.
func List(ctx context.Context, client kubernetes.Interface, staged StagedPolicies) (reach.Snapshot, error) {
	var s reach.Snapshot
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return s, fmt.Errorf("listing pods: %w", err)
	}
	namespaces, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return s, fmt.Errorf("listing namespaces: %w", err)
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return s, fmt.Errorf("listing nodes: %w", err)
	}
	policies, err := client.NetworkingV1().NetworkPolicies("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return s, fmt.Errorf("listing networkpolicies: %w", err)
	}
	s.Pods, s.Namespaces = pointers(pods.Items), pointers(namespaces.Items)
	s.Nodes, s.Policies = pointers(nodes.Items), pointers(policies.Items)
	if staged == nil {
		return s, nil
	}
	all, err := staged.List(ctx, metav1.ListOptions{})
	if err != nil && !isAbsent(err) {
		return s, fmt.Errorf("listing stagednetworkpolicies: %w", err)
	}
	s.Staged = networkPolicies(all)
	return s, nil
}

func networkPolicies(staged *apptierv1alpha1.StagedNetworkPolicyList) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for i := range staged.Items {
		out = append(out, staged.Items[i].NetworkPolicy())
	}
	return out
}

func pointers[T any](items []T) []*T {
	out := make([]*T, 0, len(items))
	for i := range items {
		out = append(out, &items[i])
	}
	return out
}
