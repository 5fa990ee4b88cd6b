package scene

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
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach"
)

// SnapshotKinds are what a snapshot is made of, beside AppTiers.
func SnapshotKinds() []manifest.Kinds {
	return []manifest.Kinds{
		{Of: corev1.SchemeGroupVersion, Types: []runtime.Object{
			&corev1.Namespace{}, &corev1.NamespaceList{}, &corev1.Pod{}, &corev1.PodList{}, &corev1.Node{}, &corev1.NodeList{},
		}},
		{Of: admissionv1.SchemeGroupVersion, Types: []runtime.Object{
			&admissionv1.ValidatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfigurationList{},
			&admissionv1.MutatingWebhookConfiguration{}, &admissionv1.MutatingWebhookConfigurationList{},
		}},
		{Of: networkingv1.SchemeGroupVersion, Types: []runtime.Object{
			&networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicyList{}, &networkingv1.ServiceCIDR{}, &networkingv1.ServiceCIDRList{},
		}},
	}
}

// Snapshot is the scene as what decides about connections. A cluster is taken as it is; with input,
// the policies are those of the scene's AppTiers. Findings about the AppTiers of the
// input go to messages.
func (s *Scene) Snapshot(ctx context.Context, messages io.Writer, settings environment.Settings) (reach.Snapshot, Expanded, error) {
	report.WriteFindings(messages, s.leftOut)
	meant, err := s.expand(ctx, settings)
	if err != nil {
		return reach.Snapshot{}, meant, err
	}
	if len(s.Input) == 0 {
		meant.Policies, meant.Staged = nil, nil
		snapshot, err := s.snapshotWith(Expanded{})
		return snapshot, meant, err
	}
	findings := meant.Findings
	for _, u := range meant.unresolved {
		findings = append(findings, u.finding())
	}
	findings = slices.DeleteFunc(findings, func(f manifest.Finding) bool { return f.Source.IsLive() })
	report.WriteFindings(messages, findings)
	if refused := Refusal(findings); refused != nil {
		// Not wrapped: that an AppTier is refused is no answer to whether a connection may pass.
		return reach.Snapshot{}, meant, fmt.Errorf("nothing can be said while an AppTier is invalid: %s", refused.Error())
	}
	snapshot, err := s.snapshotWith(meant)
	return snapshot, meant, err
}

// snapshotWith collects the objects of the scene, with the policies that some AppTiers stand for in place
// of those that were generated from them before.
func (s *Scene) snapshotWith(meant Expanded) (reach.Snapshot, error) {
	generated := meant.Policies
	snapshot := reach.Snapshot{Policies: slices.Clone(generated), Staged: slices.Clone(meant.Staged), PartialNamespaces: !s.whole}
	for _, source := range s.Objects() {
		switch o := source.Object.(type) {
		case *corev1.Namespace:
			snapshot.Namespaces = append(snapshot.Namespaces, o)
		case *corev1.Pod:
			snapshot.Pods = append(snapshot.Pods, o)
		case *corev1.Node:
			snapshot.Nodes = append(snapshot.Nodes, o)
		case *networkingv1.NetworkPolicy:
			if isReplaced(o, meant.Accepted) {
				continue
			}
			isSame := sameName(o)
			switch isTaken := slices.ContainsFunc(generated, isSame); {
			case isTaken && !source.IsLive():
				return snapshot, fmt.Errorf("%s: %s was not generated, but an AppTier of the input needs this name: rename it", source.Origin,
					source.Name)
			case isTaken: // as it is: the manager leaves it alone
				snapshot.Policies = slices.DeleteFunc(snapshot.Policies, isSame)
			}
			snapshot.Policies = append(snapshot.Policies, o)
		case *v1alpha1.StagedNetworkPolicy:
			policy := o.NetworkPolicy()
			if !isReplaced(policy, meant.Accepted) && !slices.ContainsFunc(meant.Staged, sameName(policy)) {
				snapshot.Staged = append(snapshot.Staged, policy)
			}
		}
	}
	return snapshot, nil
}

func sameName(a *networkingv1.NetworkPolicy) func(*networkingv1.NetworkPolicy) bool {
	return func(b *networkingv1.NetworkPolicy) bool { return a.Namespace == b.Namespace && a.Name == b.Name }
}

// isReplaced says whether a policy was generated from one of some AppTiers, and so would be updated or
// removed.
func isReplaced(policy *networkingv1.NetworkPolicy, apps []AppTier) bool {
	return world.IsGenerated(policy) && slices.ContainsFunc(apps, func(app AppTier) bool {
		return app.Namespace == policy.Namespace && app.Name == policy.Labels[v1alpha1.LabelAppTier]
	})
}
