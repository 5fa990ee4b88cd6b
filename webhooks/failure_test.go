package webhooks_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/webhooks"
)

// unreadable fails whenever it is asked.
type unreadable struct{ client.Reader }

func (unreadable) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("the cache has gone")
}

func (unreadable) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("the cache has gone")
}

// What a webhook cannot answer because it fails itself is the failure policy's to decide, whether it panics or
// cannot look up what is referred to.
func TestFailingWebhooks(t *testing.T) {
	for name, failing := range map[string]func(context.Context, ctrl.Manager) error{
		"panics": func(_ context.Context, mgr ctrl.Manager) error {
			judging, limits := webhooks.NewJudging(4), budget.Defaults()
			return errors.Join( // without a cluster to judge in
				webhooks.AppTierValidator{Judging: judging, Limits: limits, Reader: mgr.GetClient()}.SetupWithManager(mgr),
				webhooks.NetworkPolicyValidator{Judging: judging, Limits: limits}.SetupWithManager(mgr))
		},
		"cannot look up": func(ctx context.Context, mgr ctrl.Manager) error {
			cluster, err := webhooks.ClusterOf(ctx, mgr.GetCache())
			if err != nil {
				return err
			}
			return webhooks.AppTierValidator{Cluster: cluster, Judging: webhooks.NewJudging(4), Limits: budget.Defaults(), Reader: unreadable{}}.SetupWithManager(mgr)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, ctx := NewWithT(t), t.Context()
			config := startWebhooksWith(t, failing)
			c := newClient(t, config)
			app := valid()
			app.Spec.Tiers[0].Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Service: &v1alpha1.ServiceReference{Name: "redis"}}}}}
			g.Expect(c.Create(ctx, app.DeepCopy(), client.DryRunAll)).To(Succeed(), "failurePolicy is Ignore")
			g.Expect(c.Create(ctx, opening("default"), client.DryRunAll)).To(Succeed(), "failurePolicy is Ignore")

			var configurations admissionv1.ValidatingWebhookConfigurationList
			g.Expect(c.List(ctx, &configurations)).To(Succeed())
			for _, configuration := range configurations.Items {
				for i := range configuration.Webhooks {
					configuration.Webhooks[i].FailurePolicy = ptr.To(admissionv1.Fail)
				}
				g.Expect(c.Update(ctx, &configuration)).To(Succeed())
			}
			notAnswered := And(Satisfy(apierrors.IsInternalError), MatchError(ContainSubstring("failed calling webhook")))
			g.Eventually(func() error { return c.Create(ctx, app.DeepCopy(), client.DryRunAll) }, 10*time.Second, 50*time.Millisecond).Should(notAnswered, "failurePolicy is Fail")
			g.Expect(c.Create(ctx, opening("default"), client.DryRunAll)).To(notAnswered, "failurePolicy is Fail")
		})
	}
}
