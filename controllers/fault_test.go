package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/policy/expand"
)

// Histories of an AppTier, each a list of specs. In the last step every request to the API server
// fails in turn.
var histories = map[string][]string{
	"tiers exchange their pods": {shopInNamespace, `
isolation: {scope: Namespace}
tiers:
- {name: web, podSelector: {matchLabels: {part: two}}, ports: [{port: 80}], ingress: [{from: [{everyone: {}}, {tier: db}]}]}
- {name: db, podSelector: {matchLabels: {part: one}}, ports: [{port: 80}], ingress: [{from: [{tier: web}, {internet: {}}]}]}
`},
	"tiers are renamed": {shopInNamespace, `
isolation: {scope: Namespace}
tiers:
- {name: frontend, podSelector: {matchLabels: {part: one}}, ports: [{port: 80}], ingress: [{from: [{everyone: {}}]}]}
- {name: store, podSelector: {matchLabels: {part: two}}, ports: [{port: 80}], ingress: [{from: [{tier: frontend}]}]}
`},
	"isolation is turned off": {shopInNamespace, `
tiers:
- {name: db, podSelector: {matchLabels: {part: two}}, ports: [{port: 80}], isolate: [Ingress], ingress: [{from: [{pods: {podSelector: {matchLabels: {part: one}}}}]}]}
`},
	"isolation is turned on": {`
tiers:
- {name: db, podSelector: {matchLabels: {part: two}}, ports: [{port: 80}], isolate: [Ingress], ingress: [{from: [{everyone: {}}]}]}
`, shopInNamespace},
	"it stops enforcing":   {shopInNamespace, audited},
	"it starts to enforce": {audited, shopInNamespace},
}

const audited = "mode: Audit" + shopInNamespace

const shopInNamespace = `
isolation: {scope: Namespace}
tiers:
- {name: web, podSelector: {matchLabels: {part: one}}, ports: [{port: 80}], ingress: [{from: [{everyone: {}}]}]}
- {name: db, podSelector: {matchLabels: {part: two}}, ports: [{port: 80}], ingress: [{from: [{tier: web}]}]}
`

// Wherever the API server fails, and however, a rollout on a real one never cuts what stays allowed,
// reaches its end, leaves nothing behind, and touches nothing of anyone else's.
func TestRolloutsSurviveEveryFault(t *testing.T) {
	config, _ := apiserver.Start(t)
	direct := newClient(t, config)
	for name, specs := range histories {
		for _, fault := range []fault{failsBefore, failsAfter, conflicts} {
			t.Run(fmt.Sprintf("%s/%s", name, fault), func(t *testing.T) {
				t.Parallel()
				for at := 1; faultyHistory(t, direct, specs, fault, at); at++ {
				}
			})
		}
	}
}

// faultyHistory lives through a history in a namespace of its own, and says whether the request that
// was to fail was made at all.
func faultyHistory(t *testing.T, direct client.WithWatch, specs []string, kind fault, at int) bool {
	ctx := t.Context()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "rollout-"}}
	must(t, direct.Create(ctx, namespace))
	f := &faulty{t: t, direct: direct, kind: kind, namespace: namespace.Name, since: []halves{unprotected}}
	foreign := f.createForeign(ctx)
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "x"}}
	for i, spec := range specs {
		f.countdown = 0
		if i == len(specs)-1 {
			f.countdown = at
		}
		app.Spec = v1alpha1.AppTierSpec{}
		must(t, yaml.UnmarshalStrict([]byte(spec), &app.Spec))
		if i == 0 {
			must(t, direct.Create(ctx, app))
		} else {
			must(t, direct.Update(ctx, app))
		}
		f.rollOut(ctx, app)
	}
	if diff := cmp.Diff(foreign, f.readForeign(ctx)); diff != "" {
		t.Errorf("fault %d: policies of others changed (-before +after):\n%s", at, diff)
	}
	return f.countdown <= 0
}

// rollOut has an AppTier reconciled until that succeeds, and checks its end.
func (f *faulty) rollOut(ctx context.Context, app *v1alpha1.AppTier) {
	desired := expand.NetworkPolicies(app, expand.DefaultEnvironment())
	var staged []*networkingv1.NetworkPolicy
	if app.Spec.Mode == v1alpha1.Audit {
		desired, staged = nil, desired
	}
	f.since = append(f.since, allowedBy(inWorld(desired)))
	request := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(app)}
	f.untilSuccess(ctx, request)
	f.untilSuccess(ctx, request) // as the AppTier's own writes have it
	if diff := cmp.Diff(specsOf(desired), specsOf(f.own(ctx))); diff != "" {
		f.t.Fatalf("the end is not what is wanted (-want +have):\n%s", diff)
	}
	var stagedNow []*networkingv1.NetworkPolicy
	for _, policy := range f.stagedPolicies(ctx) {
		stagedNow = append(stagedNow, policy.NetworkPolicy())
	}
	if diff := cmp.Diff(specsOf(staged), specsOf(stagedNow), cmpopts.EquateEmpty()); diff != "" {
		f.t.Fatalf("the staged policies in the end are not what is wanted (-want +have):\n%s", diff)
	}
	must(f.t, f.direct.Get(ctx, request.NamespacedName, app))
	if !meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionReady) {
		f.t.Fatalf("not ready in the end: %v", app.Status.Conditions)
	}
	f.since = []halves{allowedBy(inWorld(desired))}
}

func specsOf(policies []*networkingv1.NetworkPolicy) map[string]networkingv1.NetworkPolicySpec {
	out := map[string]networkingv1.NetworkPolicySpec{}
	for _, policy := range policies {
		out[policy.Name] = policy.Spec
	}
	return out
}

func (f *faulty) untilSuccess(ctx context.Context, request ctrl.Request) {
	err := f.reconcile(ctx, request)
	for again := 0; err != nil; again++ {
		if !errors.Is(err, errInjected) && !apierrors.IsConflict(err) || again > 2 {
			f.t.Fatalf("the fault is not told, or does not heal: %v", err)
		}
		err = f.reconcile(ctx, request)
	}
}

// reconcile has the AppTier reconciled with a cache that is always one pass behind: it does not show
// yet what the last one wrote. A fault that came before the write was a crash of the whole process,
// whose successor fills a cache of its own.
func (f *faulty) reconcile(ctx context.Context, request ctrl.Request) error {
	if f.process == nil {
		f.cache, f.staged = f.policies(ctx), f.stagedPolicies(ctx)
		f.process = &AppTierReconciler{
			Client: f.client(f.cached), Live: f.client(f.listed), Now: func() time.Time { return time.Unix(1_000_000_000, 0) },
			DNSService: types.NamespacedName{Namespace: "kube-system", Name: "kube-dns"},
		}
	}
	before, staged := f.policies(ctx), f.stagedPolicies(ctx)
	_, err := f.process.Reconcile(ctx, request)
	f.cache, f.staged = before, staged
	if err != nil && f.kind == failsBefore {
		f.process = nil
	}
	return err
}

// check holds what the API server has now against every spec since the last that was in place.
func (f *faulty) check(ctx context.Context) {
	own := f.own(ctx)
	now := allowedBy(inWorld(own))
	for i, flow := range everyFlow {
		always := true
		for _, spec := range f.since {
			always = always && spec.egress[i] && spec.ingress[i]
		}
		if always && (!now.egress[i] || !now.ingress[i]) {
			f.t.Errorf("%v is cut", flow)
		}
	}
	for _, policy := range own {
		// Whenever the AppTier is deleted, the garbage collector takes it.
		owner := metav1.GetControllerOf(policy)
		if owner == nil || owner.BlockOwnerDeletion == nil || !*owner.BlockOwnerDeletion {
			f.t.Errorf("%s has the owners %v", policy.Name, policy.OwnerReferences)
		}
	}
}

// policies are those of the namespace.
func (f *faulty) policies(ctx context.Context) []networkingv1.NetworkPolicy {
	var list networkingv1.NetworkPolicyList
	must(f.t, f.direct.List(ctx, &list, client.InNamespace(f.namespace)))
	return list.Items
}

func (f *faulty) stagedPolicies(ctx context.Context) []v1alpha1.StagedNetworkPolicy {
	var list v1alpha1.StagedNetworkPolicyList
	must(f.t, f.direct.List(ctx, &list, client.InNamespace(f.namespace)))
	return list.Items
}

// own are the policies of the namespace that are not of others.
func (f *faulty) own(ctx context.Context) []*networkingv1.NetworkPolicy {
	return slices.DeleteFunc(environment.Pointers(f.policies(ctx)), func(policy *networkingv1.NetworkPolicy) bool { return isForeign(policy) })
}

func isForeign(policy *networkingv1.NetworkPolicy) bool {
	return policy.Annotations["of"] == "someone else"
}

// createForeign makes policies that look like the AppTier's and are not.
func (f *faulty) createForeign(ctx context.Context) []string {
	labels := map[string]string{v1alpha1.LabelAppTier: "x", v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelTier: "web"}
	nobody := networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"part": "nobody"}}}
	for _, name := range []string{"x", "x.tier.gone", "x.tier.web.0123456789abcdef", "y.namespace", "y.tier.web"} {
		policy := &networkingv1.NetworkPolicy{Spec: nobody}
		policy.Namespace, policy.Name, policy.Labels = f.namespace, name, labels
		policy.Annotations = map[string]string{"of": "someone else"}
		must(f.t, f.direct.Create(ctx, policy))
	}
	return f.readForeign(ctx)
}

func (f *faulty) readForeign(ctx context.Context) []string {
	var texts []string
	for _, policy := range f.policies(ctx) {
		if isForeign(&policy) {
			text, err := json.Marshal(policy)
			must(f.t, err)
			texts = append(texts, string(text))
		}
	}
	return texts
}

// inWorld returns policies as if they were in the namespace of the world's pods.
func inWorld(policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, policy := range policies {
		moved := policy.DeepCopy()
		moved.Namespace = "app"
		out = append(out, moved)
	}
	return out
}

// newClient reads from the API server and writes to it, as fast as that can.
func newClient(t *testing.T, config *rest.Config) client.WithWatch {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	config.QPS = -1
	scheme := runtime.NewScheme()
	must(t, errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
