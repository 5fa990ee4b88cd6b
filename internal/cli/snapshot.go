package cli

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/reach"
)

// inputSnapshot takes the input for all there is. Findings about its AppTiers go to standard error.
func inputSnapshot(ctx context.Context, streams genericiooptions.IOStreams, in *input, namespace string, s environment.Settings) (reach.Snapshot, error) {
	documents, err := in.read(streams.In)
	if err != nil {
		return reach.Snapshot{}, err
	}
	d := newDecoder(namespace, slices.Concat(snapshotKinds(), referenceKinds())...)
	if err := d.decode(documents); err != nil {
		return reach.Snapshot{}, err
	}
	out, err := expandAll(ctx, appTiers(d.objects), s, inputWorld(d.objects))
	writeFindings(streams.ErrOut, out.findings)
	if refused := refusal(out.findings); refused != nil {
		// Not wrapped: that an AppTier is refused is no answer to whether a connection may pass.
		return reach.Snapshot{}, fmt.Errorf("nothing can be said while an AppTier is invalid: %s", refused.Error())
	}
	if err != nil {
		return reach.Snapshot{}, err
	}
	return snapshotOf(d.objects, out.policies)
}

// snapshotKinds are what a snapshot is made of, beside AppTiers.
func snapshotKinds() []kinds {
	return []kinds{
		{corev1.SchemeGroupVersion, []runtime.Object{
			&corev1.Namespace{}, &corev1.NamespaceList{}, &corev1.Pod{}, &corev1.PodList{}, &corev1.Node{}, &corev1.NodeList{},
		}},
		{networkingv1.SchemeGroupVersion, []runtime.Object{&networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicyList{}}},
	}
}

// snapshotOf collects objects of the input and the policies that its AppTiers stand for.
func snapshotOf(objects []object, generated []*networkingv1.NetworkPolicy) (reach.Snapshot, error) {
	snapshot := reach.Snapshot{Policies: generated}
	for _, source := range objects {
		switch o := source.Object.(type) {
		case *corev1.Namespace:
			snapshot.Namespaces = append(snapshot.Namespaces, o)
		case *corev1.Pod:
			snapshot.Pods = append(snapshot.Pods, o)
		case *corev1.Node:
			snapshot.Nodes = append(snapshot.Nodes, o)
		case *networkingv1.NetworkPolicy:
			if isReplaced(o, appTiers(objects)) {
				continue
			}
			if isSame := sameName(o); slices.ContainsFunc(generated, isSame) {
				return snapshot, fmt.Errorf("%s: %s was not generated, but an AppTier of the input needs this name: rename it", source.origin, source.name)
			}
			snapshot.Policies = append(snapshot.Policies, o)
		}
	}
	return snapshot, nil
}

func sameName(a *networkingv1.NetworkPolicy) func(*networkingv1.NetworkPolicy) bool {
	return func(b *networkingv1.NetworkPolicy) bool { return a.Namespace == b.Namespace && a.Name == b.Name }
}

// isReplaced says whether a policy was generated from one of some AppTiers, and so would be updated or
// removed.
func isReplaced(policy *networkingv1.NetworkPolicy, apps []appTier) bool {
	return policy.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy &&
		slices.ContainsFunc(apps, func(app appTier) bool {
			return app.Namespace == policy.Namespace && app.Name == policy.Labels[v1alpha1.LabelAppTier]
		})
}

// liveSnapshot reads the cluster. All of it is needed: peers may be in any namespace.
func liveSnapshot(ctx context.Context, cluster *genericclioptions.ConfigFlags) (reach.Snapshot, error) {
	config, err := cluster.ToRESTConfig()
	if err != nil {
		return reach.Snapshot{}, fmt.Errorf("finding the cluster: %w (or give manifests with -f)", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return reach.Snapshot{}, fmt.Errorf("setting up the client: %w", err)
	}
	return readSnapshot(ctx, client)
}

func readSnapshot(ctx context.Context, client kubernetes.Interface) (reach.Snapshot, error) {
	var snapshot reach.Snapshot
	everything := metav1.ListOptions{}
	namespaces, err := client.CoreV1().Namespaces().List(ctx, everything)
	if err != nil {
		return snapshot, fmt.Errorf("listing namespaces: %w", err)
	}
	pods, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, everything)
	if err != nil {
		return snapshot, fmt.Errorf("listing pods: %w", err)
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, everything)
	if err != nil {
		return snapshot, fmt.Errorf("listing nodes: %w", err)
	}
	policies, err := client.NetworkingV1().NetworkPolicies(metav1.NamespaceAll).List(ctx, everything)
	if err != nil {
		return snapshot, fmt.Errorf("listing NetworkPolicies: %w", err)
	}
	snapshot.Namespaces = pointers(namespaces.Items)
	snapshot.Pods = pointers(pods.Items)
	snapshot.Nodes = pointers(nodes.Items)
	snapshot.Policies = pointers(policies.Items)
	return snapshot, nil
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
