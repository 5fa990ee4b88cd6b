package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/reach"
)

// snapshotKinds are what a snapshot is made of, beside AppTiers.
func snapshotKinds() []kinds {
	return []kinds{
		{corev1.SchemeGroupVersion, []runtime.Object{
			&corev1.Namespace{}, &corev1.NamespaceList{}, &corev1.Pod{}, &corev1.PodList{}, &corev1.Node{}, &corev1.NodeList{},
		}},
		{admissionv1.SchemeGroupVersion, []runtime.Object{
			&admissionv1.ValidatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfigurationList{},
			&admissionv1.MutatingWebhookConfiguration{}, &admissionv1.MutatingWebhookConfigurationList{},
		}},
		{networkingv1.SchemeGroupVersion, []runtime.Object{
			&networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicyList{}, &networkingv1.ServiceCIDR{}, &networkingv1.ServiceCIDRList{},
		}},
	}
}

// snapshot is the scene as what decides about connections. A cluster is taken as it is; with input,
// the policies are those that the AppTiers of the scene stand for. Findings about the AppTiers of the
// input go to messages.
func (s *scene) snapshot(ctx context.Context, messages io.Writer, settings environment.Settings) (reach.Snapshot, expanded, error) {
	writeFindings(messages, s.leftOut)
	meant, err := s.expand(ctx, settings)
	if err != nil {
		return reach.Snapshot{}, meant, err
	}
	if len(s.input) == 0 {
		meant.policies = nil
		snapshot, err := s.snapshotWith(nil, nil)
		return snapshot, meant, err
	}
	findings := meant.findings
	for _, u := range meant.unresolved {
		findings = append(findings, u.finding())
	}
	findings = slices.DeleteFunc(findings, func(f finding) bool { return f.source.isLive() })
	writeFindings(messages, findings)
	if refused := refusal(findings); refused != nil {
		// Not wrapped: that an AppTier is refused is no answer to whether a connection may pass.
		return reach.Snapshot{}, meant, fmt.Errorf("nothing can be said while an AppTier is invalid: %s", refused.Error())
	}
	snapshot, err := s.snapshotWith(meant.policies, meant.accepted)
	return snapshot, meant, err
}

// snapshotWith collects the objects of the scene, with the policies that some AppTiers stand for in place
// of those that were generated from them before.
func (s *scene) snapshotWith(generated []*networkingv1.NetworkPolicy, apps []appTier) (reach.Snapshot, error) {
	snapshot := reach.Snapshot{Policies: slices.Clone(generated), PartialNamespaces: !s.whole}
	for _, source := range s.objects() {
		switch o := source.Object.(type) {
		case *corev1.Namespace:
			snapshot.Namespaces = append(snapshot.Namespaces, o)
		case *corev1.Pod:
			snapshot.Pods = append(snapshot.Pods, o)
		case *corev1.Node:
			snapshot.Nodes = append(snapshot.Nodes, o)
		case *networkingv1.NetworkPolicy:
			if isReplaced(o, apps) {
				continue
			}
			isSame := sameName(o)
			switch isTaken := slices.ContainsFunc(generated, isSame); {
			case isTaken && !source.isLive():
				return snapshot, fmt.Errorf("%s: %s was not generated, but an AppTier of the input needs this name: rename it", source.origin, source.name)
			case isTaken: // as it is: the manager leaves it alone
				snapshot.Policies = slices.DeleteFunc(snapshot.Policies, isSame)
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
	return lint.IsGenerated(policy) && slices.ContainsFunc(apps, func(app appTier) bool {
		return app.Namespace == policy.Namespace && app.Name == policy.Labels[v1alpha1.LabelAppTier]
	})
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
