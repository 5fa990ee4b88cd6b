package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/printers"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/controllers"
)

// What --cluster prints is what the manager applies in the same cluster, byte for byte, but for the owner.
// That holds for AppTiers that cannot be together as well.
func TestRenderLiveIsWhatTheManagerWrites(t *testing.T) {
	withoutKubeconfig(t)
	for _, test := range []struct {
		name    string
		files   []string
		code    int
		refused []string
	}{
		{"valid", []string{"references.yaml", "live.yaml"}, 0, nil},
		{"some are refused", []string{"references.yaml", "live.yaml", "live-conflict.yaml"}, 1, []string{"AppTier shop/invalid: spec.tiers[0].podSelector", "AppTier shop/perimeter: spec.isolation.scope: policies add up, so sameNamespace: Allow for every pod of the namespace would open tier database", "AppTier shop/perimeter: spec.isolation.scope: policies add up, so sameNamespace: Allow for every pod of the namespace would open tier everything"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, _ := apiServer(t, test.files...)
			got, stderr, code := run(t, "", "render", "--cluster", "-A", "--server", server)
			if code != test.code || strings.Count(stderr, ": error: ") != len(test.refused) {
				t.Errorf("exits with %d, want %d and %d errors: %s", code, test.code, len(test.refused), stderr)
			}
			for _, want := range test.refused {
				if !strings.Contains(stderr, "the cluster: error: "+want) {
					t.Errorf("standard error does not say %q: %s", want, stderr)
				}
			}
			var want bytes.Buffer
			printer := &printers.YAMLPrinter{}
			for _, policy := range written(t, test.files...) {
				policy.OwnerReferences = nil
				if err := printer.PrintObj(policy, &want); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want.String(), got); diff != "" {
				t.Errorf("differs (-written +rendered):\n%s", diff)
			}
		})
	}
}

// written returns what the manager applies for the AppTiers in files, in the order in which it does.
func written(t *testing.T, files ...string) []*networkingv1.NetworkPolicy {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.AppTier{})
	var apps []types.NamespacedName
	for _, file := range files {
		for _, o := range objectsOf(t, file) {
			builder.WithObjects(&o)
			if o.GetKind() == "AppTier" {
				apps = append(apps, client.ObjectKeyFromObject(&o))
			}
		}
	}
	var policies []*networkingv1.NetworkPolicy
	cluster := interceptor.NewClient(builder.Build(), interceptor.Funcs{
		// The manager's indices only save it work.
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			isIndex := func(o client.ListOption) bool { _, is := o.(client.MatchingFields); return is }
			return c.List(ctx, list, slices.DeleteFunc(options, isIndex)...)
		},
		Apply: func(_ context.Context, _ client.WithWatch, config runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
			text, err := json.Marshal(config)
			if err != nil {
				return err
			}
			var policy networkingv1.NetworkPolicy
			policies = append(policies, &policy)
			answer := config.(interface {
				WithUID(types.UID) *networkingv1ac.NetworkPolicyApplyConfiguration
			})
			answer.WithUID("1").WithResourceVersion("1")
			return json.Unmarshal(text, &policy)
		},
		SubResourceApply: func(context.Context, client.Client, string, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
			return nil // the status
		},
	})
	manager := &controllers.AppTierReconciler{
		Client: cluster, Live: cluster, Now: time.Now, Events: events.NewFakeRecorder(100),
		DNSService: types.NamespacedName{Namespace: "kube-system", Name: "kube-dns"},
	}
	for _, app := range apps {
		if _, err := manager.Reconcile(t.Context(), ctrl.Request{NamespacedName: app}); err != nil {
			t.Fatal(err)
		}
	}
	return policies
}
