package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
)

func TestReferences(t *testing.T) {
	c := startController(t)
	for name, test := range map[string]func(*testing.T, cluster){
		"a Service that appears, changes and goes":        testServiceHistory,
		"the name of a port that a pod comes to declare":  testNamedPortHistory,
		"two owners who agree, and one who changes views": testAgreementHistory,
		"nodes that come and change their addresses":      testNodeHistory,
		"the API server":                       testAPIServerPeer,
		"pods that move between tiers":         testMatchedPods,
		"an AppTier that an older one forbids": testConflict,
		"Events, once each":                    testEvents,
	} {
		t.Run(name, func(t *testing.T) { test(t, cluster{Client: c.Client, WithT: NewWithT(t)}) })
	}
}

// connecting is an AppTier whose tier web connects to one peer.
func connecting(name, namespace, rule string) *v1alpha1.AppTier {
	var app v1alpha1.AppTier
	text := `
spec:
  dns: {mode: None}
  tiers:
  - name: web
    podSelector: {matchLabels: {tier: web}}
    egress: [` + rule + `]
`
	if err := yaml.UnmarshalStrict([]byte(text), &app); err != nil {
		panic(err)
	}
	app.Name, app.Namespace = name, namespace
	return &app
}

// egress waits until a policy allows egress to these, and nothing else; "" is nothing.
func (c cluster) egress(ctx context.Context, namespace, policy, want string) {
	c.Eventually(func() string {
		var rules []string
		for _, rule := range c.policies(ctx, namespace)[policy].Spec.Egress {
			for _, to := range rule.To {
				for _, port := range rule.Ports {
					peer := "pods"
					if to.IPBlock != nil {
						peer = to.IPBlock.CIDR
					}
					rules = append(rules, peer+":"+port.Port.String())
				}
			}
		}
		slices.Sort(rules)
		return strings.Join(rules, " ")
	}, soon, 20*time.Millisecond).Should(Equal(want))
}

// unresolved waits until an AppTier says what of it is missing; "" is nothing.
func (c cluster) unresolved(ctx context.Context, app *v1alpha1.AppTier, reason, message string) {
	c.Eventually(func(g Gomega) {
		g.Expect(c.Get(ctx, client.ObjectKeyFromObject(app), app)).To(Succeed())
		refs := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionResolvedRefs)
		ready := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
		g.Expect(refs).NotTo(BeNil())
		if reason == "" {
			g.Expect(refs.Status).To(Equal(metav1.ConditionTrue), refs.Message)
			g.Expect(ready.Status).To(Equal(metav1.ConditionTrue), ready.Message)
			return
		}
		g.Expect(refs.Status).To(Equal(metav1.ConditionFalse))
		g.Expect(refs.Reason).To(Equal(reason))
		g.Expect(refs.Message).To(ContainSubstring(message))
		g.Expect(ready.Status).To(Equal(metav1.ConditionFalse))
		g.Expect(ready.Reason).To(Equal(reason))
	}, soon, 20*time.Millisecond).Should(Succeed())
}

func service(namespace string, target intstr.IntOrString) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "db"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "db"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: target}}},
	}
}

func testServiceHistory(t *testing.T, c cluster) {
	ctx := t.Context()
	namespace, data := c.newNamespace(ctx), c.newNamespace(ctx)
	app := connecting("site", namespace, fmt.Sprintf("{to: [{service: {namespace: %s, name: db}}]}", data))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.unresolved(ctx, app, v1alpha1.ReasonRefNotFound, "there is no Service "+data+"/db")
	c.egress(ctx, namespace, "site.tier.web", "")

	db := service(data, intstr.FromInt32(5432))
	c.Expect(c.Create(ctx, db)).To(Succeed())
	c.unresolved(ctx, app, "", "")
	c.egress(ctx, namespace, "site.tier.web", "pods:5432")

	db.Spec.Ports[0].TargetPort = intstr.FromInt32(5433)
	c.Expect(c.Update(ctx, db)).To(Succeed())
	c.egress(ctx, namespace, "site.tier.web", "pods:5433")

	c.Expect(c.Delete(ctx, db)).To(Succeed())
	c.unresolved(ctx, app, v1alpha1.ReasonRefNotFound, "there is no Service")
	c.egress(ctx, namespace, "site.tier.web", "")
}

// pod is one that no kubelet runs.
func pod(namespace, name string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "none", Ports: []corev1.ContainerPort{{Name: "pg", ContainerPort: 5432}}}}},
	}
}

func testNamedPortHistory(t *testing.T, c cluster) {
	ctx := t.Context()
	namespace := c.newNamespace(ctx)
	app := connecting("site", namespace, "{to: [{service: {name: db}}]}")
	c.Expect(c.Create(ctx, service(namespace, intstr.FromString("pg")))).To(Succeed())
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.unresolved(ctx, app, v1alpha1.ReasonRefNotFound, "declares the port pg")
	c.Expect(c.Create(ctx, pod(namespace, "db-0", map[string]string{"app": "db"}))).To(Succeed())
	c.unresolved(ctx, app, "", "")
	c.egress(ctx, namespace, "site.tier.web", "pods:5432")
}

func testAgreementHistory(t *testing.T, c cluster) {
	ctx := t.Context()
	front, back := c.newNamespace(ctx), c.newNamespace(ctx)
	site := connecting("site", front, fmt.Sprintf("{to: [{appTier: {namespace: %s, name: shop, tier: db}}]}", back))
	c.Expect(c.Create(ctx, site)).To(Succeed())
	c.unresolved(ctx, site, v1alpha1.ReasonRefNotFound, "there is no valid AppTier "+back+"/shop")

	other := shop(back)
	c.Expect(c.Create(ctx, other)).To(Succeed())
	c.unresolved(ctx, site, v1alpha1.ReasonPeerNotAccepted, fmt.Sprintf("its owner agrees with ingress: [{from: [{appTier: {namespace: %s, name: site, tier: web}}]}]", front))
	c.egress(ctx, front, "site.tier.web", "")

	agreed := v1alpha1.Peer{AppTier: &v1alpha1.AppTierReference{Namespace: front, Name: "site", Tier: "web"}}
	other.Spec.Tiers[1].Ingress = append(other.Spec.Tiers[1].Ingress, v1alpha1.IngressRule{From: []v1alpha1.Peer{agreed}})
	c.retry(func() error { return c.replaceSpec(ctx, other) })
	c.unresolved(ctx, site, "", "")
	c.unresolved(ctx, other, "", "")
	c.egress(ctx, front, "site.tier.web", "pods:5432")
	c.Expect(c.policies(ctx, back)["shop.tier.db"].Spec.Ingress[0].From).To(HaveLen(2), "the receiver's half")

	other.Spec.Tiers[1].Ingress = other.Spec.Tiers[1].Ingress[:1]
	c.retry(func() error { return c.replaceSpec(ctx, other) })
	c.unresolved(ctx, site, v1alpha1.ReasonPeerNotAccepted, "does not name tier web")
	c.egress(ctx, front, "site.tier.web", "")

	c.Expect(c.Delete(ctx, other)).To(Succeed())
	c.unresolved(ctx, site, v1alpha1.ReasonRefNotFound, "there is no valid AppTier")
}

// edit changes an object as it is now, whatever the controller makes of it in the meantime.
func (c cluster) edit(ctx context.Context, object client.Object, change func()) {
	c.retry(func() error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change()
		return c.Update(ctx, object)
	})
}

// replaceSpec updates an AppTier's spec, whatever became of its status in the meantime.
func (c cluster) replaceSpec(ctx context.Context, app *v1alpha1.AppTier) error {
	var now v1alpha1.AppTier
	if err := c.Get(ctx, client.ObjectKeyFromObject(app), &now); err != nil {
		return err
	}
	now.Spec = *app.Spec.DeepCopy()
	return c.Update(ctx, &now)
}

func (c cluster) retry(do func() error) {
	c.Eventually(do, soon, 20*time.Millisecond).Should(Succeed())
}

func testNodeHistory(t *testing.T, c cluster) {
	ctx := t.Context()
	namespace := c.newNamespace(ctx)
	app := connecting("site", namespace, "{to: [{nodes: {}}], ports: [{port: 9100}]}")
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.unresolved(ctx, app, v1alpha1.ReasonRefNotFound, "nodes are not known")
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	c.Expect(c.Create(ctx, node)).To(Succeed())
	t.Cleanup(func() { _ = c.Delete(context.Background(), node) })
	for _, address := range []string{"172.18.0.3", "172.18.0.4"} {
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
		c.Expect(c.Status().Update(ctx, node)).To(Succeed())
		c.unresolved(ctx, app, "", "")
		c.egress(ctx, namespace, "site.tier.web", address+"/32:9100")
	}
}

// This API server keeps its own Service and endpoints, as every one does.
func testAPIServerPeer(t *testing.T, c cluster) {
	ctx := t.Context()
	namespace := c.newNamespace(ctx)
	app := connecting("operator", namespace, "{to: [{kubeAPIServer: {}}]}")
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.unresolved(ctx, app, "", "")
	var kubernetes corev1.Service
	c.Expect(c.Get(ctx, client.ObjectKey{Namespace: "default", Name: "kubernetes"}, &kubernetes)).To(Succeed())
	var allowed []string
	for _, rule := range c.policies(ctx, namespace)["operator.tier.web"].Spec.Egress {
		for _, to := range rule.To {
			allowed = append(allowed, to.IPBlock.CIDR+":"+rule.Ports[0].Port.String())
		}
	}
	c.Expect(allowed).To(And(HaveLen(2), ContainElement(kubernetes.Spec.ClusterIP+"/32:443")))
}

func testMatchedPods(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	matched := func() string {
		c.Expect(c.Get(ctx, client.ObjectKeyFromObject(app), app)).To(Succeed())
		var counts []string
		for _, tier := range app.Status.Tiers {
			counts = append(counts, fmt.Sprintf("%s=%d", tier.Name, tier.MatchedPods))
		}
		return strings.Join(counts, " ")
	}
	c.Eventually(matched, soon, 20*time.Millisecond).Should(Equal("web=0 db=0"))
	moving := pod(app.Namespace, "moving", map[string]string{"tier": "web"})
	c.Expect(c.Create(ctx, moving)).To(Succeed())
	c.Expect(c.Create(ctx, pod(app.Namespace, "of-no-tier", nil))).To(Succeed())
	c.Eventually(matched, soon, 20*time.Millisecond).Should(Equal("web=1 db=0"))

	moving.Labels["tier"] = "db"
	c.Expect(c.Update(ctx, moving)).To(Succeed())
	c.Eventually(matched, soon, 20*time.Millisecond).Should(Equal("web=0 db=1"))

	app.Spec.Tiers[0].PodSelector, app.Spec.Tiers[1].PodSelector = app.Spec.Tiers[1].PodSelector, app.Spec.Tiers[0].PodSelector
	c.retry(func() error { return c.replaceSpec(ctx, app) })
	c.Eventually(matched, soon, 20*time.Millisecond).Should(Equal("web=1 db=0"))

	moving.Status.Phase = corev1.PodSucceeded
	c.Expect(c.Status().Update(ctx, moving)).To(Succeed())
	c.Eventually(matched, soon, 20*time.Millisecond).Should(Equal("web=0 db=0"))
}

func testConflict(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	app.Name = "older"
	c.Expect(c.Create(ctx, app)).To(Succeed())
	perimeter := &v1alpha1.AppTier{
		ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: "perimeter"},
		Spec:       v1alpha1.AppTierSpec{Isolation: v1alpha1.Isolation{Scope: v1alpha1.ScopeNamespace, SameNamespace: v1alpha1.SameNamespaceAllow}},
	}
	c.Expect(c.Create(ctx, perimeter)).To(Succeed())
	c.becomes(ctx, perimeter, metav1.ConditionFalse)
	accepted := meta.FindStatusCondition(perimeter.Status.Conditions, v1alpha1.ConditionAccepted)
	c.Expect(accepted.Message).To(ContainSubstring("would open tier web of AppTier older"))
	c.becomes(ctx, app, metav1.ConditionTrue)
	c.Expect(c.policies(ctx, app.Namespace)).NotTo(HaveKey("perimeter.namespace"))

	c.Expect(c.Delete(ctx, app)).To(Succeed())
	c.becomes(ctx, perimeter, metav1.ConditionTrue)
}

func testEvents(t *testing.T, c cluster) {
	ctx := t.Context()
	namespace := c.newNamespace(ctx)
	app := connecting("site", namespace, "{to: [{service: {name: db}}]}")
	reasons := func() []string {
		var events eventsv1.EventList
		c.Expect(c.List(ctx, &events, client.InNamespace(namespace))).To(Succeed())
		var out []string
		for _, event := range events.Items {
			if event.Regarding.Kind != "AppTier" {
				continue // the API server has something to say about Services
			}
			c.Expect(event.Series).To(BeNil(), "said twice: %s", event.Note)
			out = append(out, event.Type+" "+event.Reason)
		}
		return out
	}
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.Eventually(reasons, soon, 20*time.Millisecond).Should(ConsistOf("Normal PoliciesApplied", "Warning RefNotFound"))

	// A pass that finds nothing to do says nothing.
	policy := c.policies(ctx, namespace)["site.tier.web"]
	c.edit(ctx, &policy, func() { policy.Labels["team"] = "billing" })
	c.Consistently(reasons, time.Second, 100*time.Millisecond).Should(HaveLen(2))

	c.Expect(c.Create(ctx, service(namespace, intstr.FromInt32(5432)))).To(Succeed())
	c.Eventually(reasons, soon, 20*time.Millisecond).Should(ConsistOf(
		"Normal PoliciesApplied", "Warning RefNotFound", "Normal PoliciesApplied", "Normal Applied"))
}
