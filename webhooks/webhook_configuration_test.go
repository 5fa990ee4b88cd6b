package webhooks_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/internal/testenv/apiserver"
)

// The manager's account may announce its authority in the webhook configuration. Whatever else its role
// would let it write there, the API server refuses: no webhook runs here.
func TestManagersWebhookConfiguration(t *testing.T) {
	config, _ := apiserver.Start(t)
	g, ctx, admin := NewWithT(t), t.Context(), newClient(t, config)
	for _, kind := range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration"} {
		for _, object := range deployed(t, kind) {
			g.Expect(admin.Create(ctx, object)).To(Succeed())
		}
	}
	var configuration admissionv1.ValidatingWebhookConfiguration
	g.Expect(admin.Get(ctx, client.ObjectKey{Name: "apptier-validating-webhook-configuration"}, &configuration)).To(Succeed())
	manager := as(t, config, managerAccount)
	patch := func(c client.Client, path string, value any) error {
		operation := "add"
		if value == nil {
			operation = "remove"
		}
		text, err := json.Marshal([]map[string]any{{"op": operation, "path": path, "value": value}})
		g.Expect(err).NotTo(HaveOccurred())
		return c.Patch(ctx, configuration.DeepCopy(), client.RawPatch(types.JSONPatchType, text), client.DryRunAll)
	}
	refused := MatchError(ContainSubstring("the manager may change the caBundle of its webhooks, and nothing else"))
	g.Eventually(func() error { return patch(manager, "/webhooks/0/timeoutSeconds", 1) }, 20*time.Second, 100*time.Millisecond).Should(refused, "as soon as the API server knows")

	secrets := []admissionv1.RuleWithOperations{{
		Operations: []admissionv1.OperationType{admissionv1.OperationAll},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
	}}
	another := configuration.Webhooks[0].DeepCopy()
	another.Name, another.Rules = "another.policy.apptier.dev", secrets
	for path, value := range map[string]any{
		"/webhooks/0/rules":                     secrets,
		"/webhooks/-":                           another,
		"/webhooks/1":                           nil,
		"/webhooks/0/name":                      "another.policy.apptier.dev",
		"/webhooks/0/clientConfig/service/name": "another",
		"/webhooks/0/clientConfig":              admissionv1.WebhookClientConfig{URL: ptr.To("https://example.com/")},
		"/webhooks/0/failurePolicy":             "Fail",
		"/webhooks/0/matchPolicy":               "Exact",
		"/webhooks/0/namespaceSelector":         metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
		"/webhooks/0/objectSelector":            metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
		"/webhooks/0/matchConditions":           []admissionv1.MatchCondition{{Name: "none", Expression: "false"}},
		"/webhooks/0/sideEffects":               "NoneOnDryRun",
		"/webhooks/0/admissionReviewVersions/-": "v1beta1",
		"/metadata/labels/a":                    "b",
		"/metadata/annotations":                 map[string]string{"cert-manager.io/inject-ca-from": "default/mine"},
		"/metadata/finalizers":                  []string{"example.com/wait"},
		"/metadata/ownerReferences":             []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: "default", UID: "1"}},
	} {
		t.Run("refuses "+path, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(patch(manager, path, value)).To(refused)
			g.Expect(patch(admin, path, value)).To(Succeed(), "by anyone else it is a change like any")
		})
	}
	t.Run("lets it announce its authority", func(t *testing.T) {
		g := NewWithT(t)
		for i := range configuration.Webhooks {
			g.Expect(patch(manager, fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), []byte("an authority"))).To(Succeed())
		}
	})
	t.Run("refuses to make or remove one", func(t *testing.T) {
		g := NewWithT(t)
		g.Expect(manager.Delete(ctx, configuration.DeepCopy(), client.DryRunAll)).To(refused)
		g.Expect(manager.Create(ctx, &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}, client.DryRunAll)).To(refused)
	})
	t.Run("names every field that a webhook has", func(t *testing.T) {
		var policy string
		for _, object := range deployed(t, "ValidatingAdmissionPolicy") {
			if object.GetName() == "apptier-webhook-configuration" {
				text, err := json.Marshal(object)
				NewWithT(t).Expect(err).NotTo(HaveOccurred())
				policy = string(text)
			}
		}
		for _, field := range append(fieldsOf(reflect.TypeFor[admissionv1.ValidatingWebhook]()), fieldsOf(reflect.TypeFor[admissionv1.WebhookClientConfig]())...) {
			if field != "clientConfig" && field != "caBundle" && !strings.Contains(policy, "."+field+")") && !strings.Contains(policy, ".?"+field+")") {
				t.Errorf("the policy does not compare %s", field)
			}
		}
	})
}

// fieldsOf are the names of a type's fields in JSON.
func fieldsOf(of reflect.Type) []string {
	var out []string
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}
