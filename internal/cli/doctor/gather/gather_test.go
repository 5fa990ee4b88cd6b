package gather_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/apptier/apptier/internal/cli/doctor"
	"github.com/apptier/apptier/internal/cli/doctor/gather"
	"github.com/apptier/apptier/internal/testenv/apiserver"
)

// A real API server gives what is asked for, to those who may read it; of the rest nothing is judged, and nothing is written.
func TestARealAPIServer(t *testing.T) {
	config, environment := apiserver.Start(t)
	api, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects() {
		if err := api.Create(t.Context(), o); err != nil {
			t.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
	}
	nobody, err := environment.AddUser(envtest.User{Name: "nobody"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		config *rest.Config
		want   []string
	}{
		// No CRD of a test has a version, nothing answers the webhook, and no controller runs pods.
		{"who may read all", config, []string{
			"enforcers pass [DaemonSet apptier-enforcer/apptier-enforcer]",
			"gate pass []",
			"manager fail []",
			"network fail [DaemonSet kube-system/cilium]",
			"node-health fail [Node a]",
			"nodes fail [Node a]",
			"policies warn [NetworkPolicy default/big]",
			"apptiers pass []",
			"versions pass []",
			"webhook fail []",
			"webhook-certificate fail [ValidatingWebhookConfiguration apptier-validating-webhook-configuration]",
		}},
		{"who may read nothing", nobody.Config(), []string{
			"apptiers unknown []", "enforcers unknown []", "gate unknown []", "manager unknown []", "network unknown []", "node-health " +
				"unknown []",
			"nodes unknown []", "policies unknown []", "versions unknown []", "webhook unknown []", "webhook-certificate unknown []",
		}},
	} {
		facts, err := gather.Facts(t.Context(), test.config, metav1.NamespaceDefault)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range doctor.Judge(facts, time.Now()) {
			t.Logf("%s: %+v", test.name, f)
			got = append(got, fmt.Sprintf("%s %s %v", f.Check, f.Status, f.Objects))
		}
		slices.Sort(got)
		slices.Sort(test.want)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// objects are a cluster of one node, with an enforcer that Cilium takes packets from, and its Events.
func objects() []client.Object {
	hook := admissionv1.ValidatingWebhook{
		Name: "apptier.policy.apptier.dev", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionv1.SideEffectClassNone),
		FailurePolicy: ptr.To(admissionv1.Ignore), TimeoutSeconds: ptr.To[int32](1),
		ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "nowhere", Name: "nobody"}},
		Rules: []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule: admissionv1.Rule{APIGroups: []string{"policy.apptier.dev"}, APIVersions: []string{"*"},
				Resources: []string{"apptiers"}}}},
	}
	return []client.Object{
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.1.0.0/24"},
			PodCIDR: "10.1.0.0/24"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "apptier-enforcer"}},
		daemonSet("apptier-enforcer", "apptier-enforcer"), daemonSet(metav1.NamespaceSystem, "cilium"),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "cilium-config"},
			Data: map[string]string{"enable-policy": "never"}},
		&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "apptier-validating-webhook-configuration"},
			Webhooks: []admissionv1.ValidatingWebhook{hook}},
		event("apptier.dev/enforcer", "BridgeUnseen", "apptier's enforcer: not ready: load it", corev1.ObjectReference{Kind: "Node",
			Name: "a"}),
		event("apptier.dev/enforcer", "NotEnforced", "too big", corev1.ObjectReference{Kind: "NetworkPolicy",
			Namespace: metav1.NamespaceDefault, Name: "big"}),
		event("kubelet", "Rebooted", "not ready: another's", corev1.ObjectReference{Kind: "Node", Name: "a"}),
	}
}

func daemonSet(namespace, name string) *appsv1.DaemonSet {
	labels := map[string]string{"app": name}
	if namespace == "apptier-enforcer" {
		labels = map[string]string{"app.kubernetes.io/name": "apptier", "app.kubernetes.io/component": "enforcer"}
	}
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
	set.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	set.Spec.Template.Labels = labels
	set.Spec.Template.Spec.Containers = []corev1.Container{{Name: name,
		Image: "registry.example.com:5000/" + name + ":v0.2.0@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}}
	return set
}

func event(reporter, reason, note string, about corev1.ObjectReference) *eventsv1.Event {
	e := &eventsv1.Event{ReportingController: reporter, ReportingInstance: "test", Reason: reason, Note: note, Action: "Enforce",
		Type: corev1.EventTypeWarning, Regarding: about}
	e.GenerateName, e.Namespace, e.EventTime = "event-", metav1.NamespaceDefault, metav1.NowMicro()
	return e
}
