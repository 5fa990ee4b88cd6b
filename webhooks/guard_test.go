package webhooks_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/apiserver"
)

// The API server guards the policies of AppTiers by itself: no webhook runs here.
func TestGuard(t *testing.T) {
	config, _ := apiserver.Start(t)
	g, ctx, admin := NewWithT(t), t.Context(), newClient(t, config)
	for _, kind := range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
		for _, object := range deployed(t, kind) {
			g.Expect(admin.Create(ctx, object)).To(Succeed())
		}
	}
	app := valid()
	app.Name = "ledger"
	g.Expect(admin.Create(ctx, app)).To(Succeed())
	trusted := as(t, config, managerAccount)
	policy := generated(app)
	g.Expect(trusted.Create(ctx, policy)).To(Succeed())
	refused := MatchError(And(ContainSubstring("is generated from AppTier default/ledger"), ContainSubstring("edit the AppTier instead")))
	g.Eventually(func() error { return admin.Delete(ctx, policy, client.DryRunAll) }, 20*time.Second, 100*time.Millisecond).Should(refused, "as soon as the API server knows")

	changed := func(change func(*networkingv1.NetworkPolicy)) *networkingv1.NetworkPolicy {
		out := policy.DeepCopy()
		change(out)
		return out
	}
	for name, try := range map[string]struct {
		do   error
		want gomegatypes.GomegaMatcher
	}{
		"deleting it":                   {admin.Delete(ctx, policy, client.DryRunAll), refused},
		"changing what it says":         {admin.Update(ctx, changed(func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = p.Spec.PolicyTypes[:1] }), client.DryRunAll), refused},
		"making it an orphan":           {admin.Update(ctx, changed(func(p *networkingv1.NetworkPolicy) { p.OwnerReferences = nil }), client.DryRunAll), refused},
		"taking the manager's off":      {admin.Update(ctx, changed(func(p *networkingv1.NetworkPolicy) { delete(p.Labels, v1alpha1.LabelManagedBy) }), client.DryRunAll), refused},
		"giving it another tier":        {admin.Update(ctx, changed(func(p *networkingv1.NetworkPolicy) { p.Labels[v1alpha1.LabelTier] = "api" }), client.DryRunAll), refused},
		"keeping it when its tier goes": {admin.Update(ctx, changed(func(p *networkingv1.NetworkPolicy) { p.Finalizers = []string{"example.com/wait"} }), client.DryRunAll), refused},
		"giving it a second owner": {admin.Update(ctx, changed(func(p *networkingv1.NetworkPolicy) {
			p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "mine", UID: "1"})
		}), client.DryRunAll), refused},
		"pretending to be one": {admin.Create(ctx, changed(func(p *networkingv1.NetworkPolicy) { p.Name, p.ResourceVersion, p.UID = "another", "", "" }), client.DryRunAll), refused},
		"a label of one's own": {admin.Update(ctx, changed(func(p *networkingv1.NetworkPolicy) { p.Labels["team"] = "billing" }), client.DryRunAll), Succeed()},
		"an annotation":        {admin.Update(ctx, changed(func(p *networkingv1.NetworkPolicy) { p.Annotations = map[string]string{"a": "b"} }), client.DryRunAll), Succeed()},
		"deleting, by the collector": {
			as(t, config, "system:serviceaccount:kube-system:generic-garbage-collector").Delete(ctx, policy, client.DryRunAll), Succeed()},
		"deleting, with the namespace": {
			as(t, config, "system:serviceaccount:kube-system:namespace-controller").DeleteAllOf(ctx, policy, client.InNamespace("default"), client.DryRunAll), Succeed()},
		"deleting, by the manager": {trusted.Delete(ctx, policy, client.DryRunAll), Succeed()},
		"a manager elsewhere": {
			as(t, config, "system:serviceaccount:default:apptier-manager").Delete(ctx, policy, client.DryRunAll), refused},
	} {
		t.Run(name, func(t *testing.T) { NewWithT(t).Expect(try.do).To(try.want) })
	}
	t.Run("a finalizer that is there may go", func(t *testing.T) { testTakenOff(t, admin, trusted, policy) })
	t.Run("anyone's once its AppTier has let go of it", func(t *testing.T) { testOrphan(t, admin, trusted, policy) })
	t.Run("anyone's if it never was one", func(t *testing.T) {
		g := NewWithT(t)
		mine := harmless("default")
		mine.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
		g.Expect(admin.Create(ctx, mine)).To(Succeed())
		mine.Spec.PodSelector = metav1.LabelSelector{}
		g.Expect(admin.Update(ctx, mine)).To(Succeed())
		g.Expect(admin.Delete(ctx, mine)).To(Succeed())
	})
}

// testTakenOff: a finalizer from the time before the guard keeps nobody from letting the policy go.
func testTakenOff(t *testing.T, admin, trusted client.Client, policy *networkingv1.NetworkPolicy) {
	g, ctx := NewWithT(t), t.Context()
	policy.Finalizers = []string{"example.com/wait", "example.com/more"}
	g.Expect(trusted.Update(ctx, policy)).To(Succeed())
	policy.Finalizers = []string{"example.com/wait", "example.com/other"}
	g.Expect(admin.Update(ctx, policy.DeepCopy())).NotTo(Succeed())
	policy.Finalizers = []string{"example.com/more"}
	g.Expect(admin.Update(ctx, policy)).To(Succeed())
	policy.Finalizers = nil
	g.Expect(admin.Update(ctx, policy)).To(Succeed())
}

func testOrphan(t *testing.T, admin, trusted client.Client, policy *networkingv1.NetworkPolicy) {
	g, ctx := NewWithT(t), t.Context()
	orphan := policy.DeepCopy()
	orphan.OwnerReferences = nil
	g.Expect(trusted.Update(ctx, orphan)).To(Succeed())
	orphan.Spec.PolicyTypes = orphan.Spec.PolicyTypes[:1]
	g.Expect(admin.Update(ctx, orphan)).To(Succeed())
	g.Expect(admin.Delete(ctx, orphan)).To(Succeed())
	g.Expect(errors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(orphan), orphan))).To(BeTrue())
}
