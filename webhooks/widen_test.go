package webhooks_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/policy/lint/widening"
)

// With the component, the API server asks for the right to give a reason: no webhook runs here.
func TestWidenVerb(t *testing.T) {
	config, _ := apiserver.Start(t)
	g, ctx, admin := NewWithT(t), t.Context(), newClient(t, config)
	for _, kind := range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ClusterRole"} {
		for _, object := range deployedFrom(t, kind, "config", "components", "widen-verb") {
			g.Expect(admin.Create(ctx, object)).To(Succeed())
		}
	}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "policies"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{networkingv1.GroupName}, Resources: []string{"networkpolicies"}, Verbs: []string{"*"}}}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "policies"},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "policies"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "editor"}, {APIGroup: rbacv1.GroupName, Kind: "User", Name: "owner"}}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "widener"},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "apptier-widener-role"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "owner"}}},
	} {
		g.Expect(admin.Create(ctx, object)).To(Succeed())
	}
	editor, owner := impersonating(t, config, "editor"), impersonating(t, config, "owner")
	reasoned := func(namespace string) *networkingv1.NetworkPolicy {
		policy := opening(namespace)
		policy.Annotations = map[string]string{widening.Annotation: "backups until June"}
		return policy
	}
	refused := MatchError(ContainSubstring("is for those with the verb widen on apptiers of namespace"))
	g.Eventually(func() error { return editor.Create(ctx, reasoned("default"), client.DryRunAll) }, 20*time.Second, 100*time.Millisecond).Should(refused, "as soon as the API server knows")

	g.Expect(editor.Create(ctx, opening("default"), client.DryRunAll)).To(Succeed(), "without a reason it is the webhook's matter")
	g.Expect(owner.Create(ctx, reasoned("other"), client.DryRunAll)).To(refused, "where the verb was not given")
	policy := reasoned("default")
	g.Expect(owner.Create(ctx, policy)).To(Succeed())

	wider := policy.DeepCopy()
	wider.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	g.Expect(editor.Update(ctx, wider, client.DryRunAll)).To(refused, "the reason was given for another policy")
	g.Expect(owner.Update(ctx, wider, client.DryRunAll)).To(Succeed())
	labelled := policy.DeepCopy()
	labelled.Labels = map[string]string{"team": "billing"}
	g.Expect(editor.Update(ctx, labelled, client.DryRunAll)).To(Succeed())
	another := policy.DeepCopy()
	another.Annotations[widening.Annotation] = "for ever"
	g.Expect(editor.Update(ctx, another, client.DryRunAll)).To(refused)
	bare := policy.DeepCopy()
	bare.Annotations = nil
	g.Expect(editor.Update(ctx, bare, client.DryRunAll)).To(Succeed())
	g.Expect(editor.Delete(ctx, policy, client.DryRunAll)).To(Succeed())
}

// impersonating returns a client of a user in no group.
func impersonating(t *testing.T, config *rest.Config, user string) client.Client {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	return newClient(t, config)
}
