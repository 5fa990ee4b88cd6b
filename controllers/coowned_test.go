package controllers_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Whoever applies a generated policy as it is owns its fields too, and server-side apply removes no field that
// somebody else still owns. What the AppTier does not allow any more is denied all the same.
func TestOthersOwnFieldsToo(t *testing.T) {
	c := startController(t)
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	var policy networkingv1.NetworkPolicy
	key := client.ObjectKey{Namespace: app.Namespace, Name: app.Name + ".tier.db"}
	c.Eventually(func() error { return c.Get(ctx, key, &policy) }, soon, 20*time.Millisecond).Should(Succeed())
	c.Expect(policy.Spec.Ingress).NotTo(BeEmpty())
	spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&policy.Spec)
	c.Expect(err).NotTo(HaveOccurred())
	same := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	same.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"))
	same.SetNamespace(key.Namespace)
	same.SetName(key.Name)
	c.Expect(c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(same), client.FieldOwner("another"))).To(Succeed())

	c.edit(ctx, app, func() {
		for i := range app.Spec.Tiers {
			app.Spec.Tiers[i].Ingress, app.Spec.Tiers[i].Egress = nil, nil
		}
	})
	c.Eventually(func(g Gomega) {
		g.Expect(c.Get(ctx, key, &policy)).To(Succeed())
		g.Expect(policy.Spec.Ingress).To(BeEmpty())
	}, soon, 20*time.Millisecond).Should(Succeed())
}
