package webhooks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// newCluster returns a cluster whose cache shows nothing yet.
func newCluster() *Cluster {
	indexer := func() toolscache.Indexer {
		return toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc})
	}
	c := &Cluster{}
	c.appTiers.Indexer, c.namespaces.Indexer, c.pods.Indexer, c.services.Indexer, c.policies.Indexer = indexer(), indexer(), indexer(), indexer(), indexer()
	c.backends.stores, c.networks.Indexer = []toolscache.Store{indexer()}, indexer()
	return c
}

// partFor returns the part of the cache that an object belongs to.
func (c *Cluster) partFor(object client.Object) toolscache.Indexer {
	switch object.(type) {
	case *v1alpha1.AppTier:
		return c.appTiers
	case *corev1.Namespace:
		return c.namespaces
	case *corev1.Pod:
		return c.pods
	case *corev1.Service:
		return c.services
	case *networkingv1.NetworkPolicy:
		return c.policies
	case *admissionv1.ValidatingWebhookConfiguration:
		return c.backends.stores[0].(toolscache.Indexer)
	default:
		panic(fmt.Sprintf("no place for a %T", object))
	}
}

// handlerOf is who is told of the changes of an object.
func (c *Cluster) handlerOf(object client.Object) toolscache.ResourceEventHandler {
	if _, calls := object.(*admissionv1.ValidatingWebhookConfiguration); calls {
		return &c.backends
	}
	return &c.changed
}

// show has the cache show objects, as an informer does.
func (c *Cluster) show(objects ...client.Object) {
	for _, object := range objects {
		if err := c.partFor(object).Add(object); err != nil {
			panic(err)
		}
		c.handlerOf(object).OnAdd(object, false)
	}
}

// hide has the cache show an object no longer; its last state may have been missed.
func (c *Cluster) hide(object client.Object, missed bool) {
	if err := c.partFor(object).Delete(object); err != nil {
		panic(err)
	}
	if missed {
		c.handlerOf(object).OnDelete(toolscache.DeletedFinalStateUnknown{Key: client.ObjectKeyFromObject(object).String(), Obj: object})
		return
	}
	c.handlerOf(object).OnDelete(object)
}

// afresh is everything that the cache shows, without a history.
func (c *Cluster) afresh() world.World {
	w := world.World{Whole: true, Known: world.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}}
	w.Namespaces, w.Pods, w.Services = byName(all(c.namespaces)), byName(all(c.pods)), byName(all(c.services))
	for _, policy := range byName(all(c.policies)) {
		if isGenerated(policy) {
			w.Generated = append(w.Generated, policy)
		} else {
			w.Policies = append(w.Policies, policy)
		}
	}
	w.Backends = c.backends.list()
	return w
}

func all[T client.Object](of store[T]) []T { return typed[T](of.List()) }

func byName[T client.Object](objects []T) []T {
	slices.SortFunc(objects, func(a, b T) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return objects
}

// generatedFrom makes a policy an AppTier's.
func generatedFrom(app string, policy *networkingv1.NetworkPolicy) {
	policy.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelAppTier: app}
	policy.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AppTier", Name: app, Controller: ptr.To(true)}}
}

// However a cluster came to be as it is, policies are judged as they would be by whoever sees it for
// the first time.
func TestAHistoryIsJudgedAsAFreshStart(t *testing.T) {
	found := map[check.ID]int{}
	history := func(t *rapid.T) {
		c := newCluster()
		for range rapid.IntRange(1, 3).Draw(t, "steps") {
			c.change(t)
			world := c.afresh()
			for _, policy := range byName(all(c.policies)) {
				want, got := lint.NetworkPolicy(policy, world), lint.JudgePolicy(c.current(), policy, new(check.Work))
				if !equality.Semantic.DeepEqual(want, got) {
					t.Fatalf("%+v\nafresh: %v\nhere:   %v", policy.Spec, want, got)
				}
				for _, finding := range got {
					found[finding.Check]++
				}
			}
		}
	}
	for range 10 { // findings that need several objects to meet are rare
		rapid.Check(t, history)
	}
	t.Logf("found: %v", found)
	for _, id := range []check.ID{netpol.Widens, netpol.HalfOpen, netpol.PeerSelectsNothing, netpol.ServicePort, netpol.DNSMissing, netpol.APIServerUnreachable} {
		if found[id] == 0 {
			t.Errorf("%s was never found: the comparison shows nothing about it", id)
		}
	}
}

// change has some objects go, and others come or take the place of those of their name.
func (c *Cluster) change(t *rapid.T) {
	for _, part := range []toolscache.Store{c.namespaces, c.pods, c.services, c.policies, c.backends.stores[0]} {
		for _, object := range byName(typed[client.Object](part.List())) {
			if rapid.IntRange(0, 3).Draw(t, "goes") == 0 {
				c.hide(object, rapid.Bool().Draw(t, "missed"))
			}
		}
	}
	c.show(drawCluster(t)...)
}

// drawCluster returns a cluster with a few Services, and policies of which some are an AppTier's.
func drawCluster(t *rapid.T) []client.Object {
	s := reachtest.Snapshot(reachtest.MaxPods(12)).Draw(t, "snapshot")
	var objects []client.Object
	exists := map[string]bool{}
	for _, namespace := range s.Namespaces {
		exists[namespace.Name] = true
		objects = append(objects, namespace)
	}
	for _, pod := range s.Pods {
		objects = append(objects, pod)
		if !exists[pod.Namespace] {
			exists[pod.Namespace] = true
			objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: pod.Namespace, Labels: map[string]string{corev1.LabelMetadataName: pod.Namespace}}})
		}
	}
	for _, policy := range s.Policies {
		if rapid.IntRange(0, 2).Draw(t, "generated") == 0 {
			generatedFrom("app", policy)
		}
		objects = append(objects, policy)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "services") {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("service-", i), Namespace: rapid.SampledFrom(slices.Sorted(maps.Keys(exists))).Draw(t, "namespace")}}
		service.Spec.Selector = map[string]string{"app": rapid.SampledFrom([]string{"web", "api"}).Draw(t, "app")}
		service.Spec.Ports = []corev1.ServicePort{{Port: rapid.SampledFrom([]int32{80, 8080, 443, 53}).Draw(t, "port"), TargetPort: intstr.FromInt32(8080)}}
		service.Spec.ClusterIPs = []string{fmt.Sprint("10.96.0.", 10+i)}
		if rapid.Bool().Draw(t, "DNS") {
			service.Labels = map[string]string{"k8s-app": "kube-dns"}
		}
		objects = append(objects, service)
		if rapid.Bool().Draw(t, "is called") {
			of := &admissionv1.ServiceReference{Namespace: service.Namespace, Name: service.Name, Port: ptr.To(service.Spec.Ports[0].Port)}
			calls := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("webhook-", rapid.IntRange(0, 1).Draw(t, "webhook"))}}
			calls.Webhooks = []admissionv1.ValidatingWebhook{{ClientConfig: admissionv1.WebhookClientConfig{Service: of}}}
			objects = append(objects, calls)
		}
	}
	return objects
}
