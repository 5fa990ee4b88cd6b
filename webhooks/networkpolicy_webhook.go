package webhooks

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
)

// NetworkPolicyValidator refuses hand-written NetworkPolicies that lint rejects, with every reason at
// once, and passes warnings on. It judges in namespaces that have an AppTier, or ask for it with a label.
type NetworkPolicyValidator struct {
	passDeletions[*networkingv1.NetworkPolicy]

	// Cluster is what policies are judged against.
	Cluster *Cluster
	// Judging limits the work of all requests, together with those about AppTiers.
	Judging *Judging
	// Limits are the enforcers' limits.
	Limits budget.Limits
	// Namespace is the manager's own, where nothing is judged.
	Namespace string
}

var _ admission.Validator[*networkingv1.NetworkPolicy] = NetworkPolicyValidator{}

// There are two webhooks, so that a component of config can make one of them fail closed: the one for
// namespaces with the label. The API server does not send what need not be judged. config/default replaces
// "system" and "manager".

// +kubebuilder:webhook:path=/validate-networking-k8s-io-v1-networkpolicy,mutating=false,failurePolicy=ignore,sideEffects=None,groups=networking.k8s.io,resources=networkpolicies,verbs=create;update,versions=v1,name=networkpolicy.policy.apptier.dev,admissionReviewVersions=v1,timeoutSeconds=5,patch=`{"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system","kube-public","kube-node-lease","system"]},{"key":"policy.apptier.dev/check","operator":"NotIn","values":["true"]}]},"matchConditions":[{"name":"not-by-the-manager","expression":"request.userInfo.username != 'system:serviceaccount:' + 'system' + ':' + 'manager'"},{"name":"to-stay","expression":"!has(object.metadata.deletionTimestamp)"},{"name":"changed","expression":"oldObject == null || object.spec != oldObject.spec || object.metadata.?annotations[?'policy.apptier.dev/allow-widening'].orValue('') != oldObject.metadata.?annotations[?'policy.apptier.dev/allow-widening'].orValue('')"}]}`
// +kubebuilder:webhook:path=/validate-networking-k8s-io-v1-networkpolicy,mutating=false,failurePolicy=ignore,sideEffects=None,groups=networking.k8s.io,resources=networkpolicies,verbs=create;update,versions=v1,name=checked.networkpolicy.policy.apptier.dev,admissionReviewVersions=v1,timeoutSeconds=5,patch=`{"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system","kube-public","kube-node-lease","system"]},{"key":"policy.apptier.dev/check","operator":"In","values":["true"]}]},"matchConditions":[{"name":"not-by-the-manager","expression":"request.userInfo.username != 'system:serviceaccount:' + 'system' + ':' + 'manager'"},{"name":"to-stay","expression":"!has(object.metadata.deletionTimestamp)"},{"name":"changed","expression":"oldObject == null || object.spec != oldObject.spec || object.metadata.?annotations[?'policy.apptier.dev/allow-widening'].orValue('') != oldObject.metadata.?annotations[?'policy.apptier.dev/allow-widening'].orValue('')"}]}`

// SetupWithManager registers the webhook at the manager's webhook server.
func (v NetworkPolicyValidator) SetupWithManager(mgr ctrl.Manager) error {
	return register(mgr, "NetworkPolicy", &networkingv1.NetworkPolicy{}, v)
}

// ValidateCreate judges a new policy.
func (v NetworkPolicyValidator) ValidateCreate(ctx context.Context, policy *networkingv1.NetworkPolicy) (admission.Warnings, error) {
	if !v.isChecked(policy.Namespace) {
		return nil, nil
	}
	return v.answer(ctx, nil, policy)
}

// answer refuses a policy, or accepts it with warnings. It does not judge a policy that enforcers would refuse.
func (v NetworkPolicyValidator) answer(ctx context.Context, old, policy *networkingv1.NetworkPolicy) (admission.Warnings, error) {
	of := policyRequest(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy").GroupKind(), policy)
	return v.Judging.judged(ctx, of, func(work *check.Work) ([]check.Finding, error) {
		findings := v.budget(old, policy)
		if len(check.WithSeverity(findings, check.Reject)) > 0 {
			return findings, nil
		}
		if old == nil {
			return append(findings, lint.JudgePolicy(v.Cluster.current(), policy, work)...), nil
		}
		return append(findings, v.judgeUpdate(old, policy, work, check.NewWork(mostSteps, ctx.Err))...), nil
	})
}

// budget checks a policy against the budgets.
func (v NetworkPolicyValidator) budget(old, policy *networkingv1.NetworkPolicy) []check.Finding {
	others := v.Cluster.otherPolicies(policy.Namespace, func(p *networkingv1.NetworkPolicy) bool { return p.Name == policy.Name })
	return withinBudget(v.Limits, []*networkingv1.NetworkPolicy{policy}, others, costOf(old))
}

// ValidateUpdate judges a change. A policy that was already invalid may change too: a mistake from before the change is a
// warning.
func (v NetworkPolicyValidator) ValidateUpdate(ctx context.Context, old, policy *networkingv1.NetworkPolicy) (admission.Warnings, error) {
	if needsNoJudgement(old, policy) || !v.isChecked(policy.Namespace) {
		return nil, nil
	}
	return v.answer(ctx, old, policy)
}

// systemNamespaces are the cluster's own: its components must not depend on this webhook.
var systemNamespaces = []string{metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}

// isChecked says whether policies of a namespace are judged.
func (v NetworkPolicyValidator) isChecked(name string) bool {
	if name == v.Namespace || slices.Contains(systemNamespaces, name) {
		return false
	}
	namespace := v.Cluster.namespace(name)
	if namespace != nil && !namespace.DeletionTimestamp.IsZero() {
		return false
	}
	isAsked := namespace != nil && namespace.Labels[v1alpha1.LabelCheck] == v1alpha1.Check
	return isAsked || v.Cluster.hasAppTier(name)
}
