package webhooks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

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
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// clusterWith returns a cluster whose cache shows these objects.
func clusterWith(objects ...client.Object) *Cluster {
	indexer := func() toolscache.Indexer {
		return toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc})
	}
	c := &Cluster{}
	c.appTiers.Indexer, c.namespaces.Indexer, c.pods.Indexer, c.services.Indexer, c.policies.Indexer = indexer(), indexer(), indexer(), indexer(), indexer()
	for _, object := range objects {
		var into toolscache.Indexer
		switch object.(type) {
		case *v1alpha1.AppTier:
			into = c.appTiers
		case *corev1.Namespace:
			into = c.namespaces
		case *corev1.Pod:
			into = c.pods
		case *corev1.Service:
			into = c.services
		case *networkingv1.NetworkPolicy:
			into = c.policies
		default:
			panic(fmt.Sprintf("no place for a %T", object))
		}
		if err := into.Add(object); err != nil {
			panic(err)
		}
	}
	return c
}

// whole is everything that a cluster has, by name.
func whole(c *Cluster) lint.World {
	w := lint.World{Whole: true, Known: lint.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}}
	w.Namespaces, w.Pods, w.Services = byName(c.namespaces.all()), byName(c.pods.all()), byName(c.services.all())
	for _, policy := range byName(c.policies.all()) {
		if isGenerated(policy) {
			w.Generated = append(w.Generated, policy)
		} else {
			w.Policies = append(w.Policies, policy)
		}
	}
	return w
}

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

// A policy is judged in its part of the cluster as it would be in the whole of it.
func TestWorldIsEnough(t *testing.T) {
	found := map[lint.Check]int{}
	judge := func(t *rapid.T) {
		c := clusterWith(drawCluster(t)...)
		for _, policy := range byName(c.policies.all()) {
			want, got := lint.NetworkPolicy(policy, whole(c)), lint.NetworkPolicy(policy, c.world(policy))
			if !equality.Semantic.DeepEqual(want, got) {
				t.Fatalf("%+v\nwhole: %v\nhere:  %v", policy.Spec, want, got)
			}
			for _, finding := range got {
				found[finding.Check]++
			}
		}
	}
	for range 20 { // findings that need several objects to meet are rare
		rapid.Check(t, judge)
	}
	t.Logf("found: %v", found)
	for _, check := range []lint.Check{lint.Widens, lint.HalfOpen, lint.PeerSelectsNothing, lint.ServicePort, lint.DNSMissing} {
		if found[check] == 0 {
			t.Errorf("%s was never found: the comparison shows nothing about it", check)
		}
	}
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
			service.Labels = map[string]string{dnsLabel: dnsName}
		}
		objects = append(objects, service)
	}
	return objects
}

// Someone waits for every answer. In a cluster of 500 namespaces with an AppTier, 40 pods and 10
// policies each: a policy among its neighbours, and one whose peers may be anywhere.
func BenchmarkNetworkPolicy(b *testing.B) {
	v := NetworkPolicyValidator{Cluster: largeCluster()}
	peers := func(namespaces *metav1.LabelSelector) *networkingv1.NetworkPolicy {
		policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team-7", Name: "judged"}}
		policy.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "app-1"}}
		policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{
			From:  []networkingv1.NetworkPolicyPeer{{NamespaceSelector: namespaces, PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "app-2"}}}},
			Ports: []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(8080))}},
		}}
		return policy
	}
	for name, policy := range map[string]*networkingv1.NetworkPolicy{
		"neighbours":        peers(nil),
		"another namespace": peers(&metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "team-8"}}),
		"every namespace":   peers(&metav1.LabelSelector{}),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := v.ValidateCreate(b.Context(), policy); err == nil {
					b.Fatal("a widening passed")
				}
			}
		})
	}
}

func largeCluster() *Cluster {
	var objects []client.Object
	for i := range 500 {
		namespace := fmt.Sprint("team-", i)
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{corev1.LabelMetadataName: namespace}}},
			&v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}})
		for j := range 40 {
			objects = append(objects, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("pod-", j), Labels: map[string]string{"app": fmt.Sprint("app-", j%10), "team": namespace}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}},
				Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: fmt.Sprintf("10.%d.%d.%d", i/250, i%250, j)}}},
			})
		}
		for j := range 10 {
			policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("app.tier.app-", j)}}
			policy.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprint("app-", j)}}
			policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
			policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{
				From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprint("app-", (j+9)%10)}}}},
				Ports: []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(8080))}},
			}}
			if j < 5 {
				generatedFrom("app", policy)
			}
			objects = append(objects, policy)
		}
		objects = append(objects, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app-1"}, Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "app-1"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}}})
	}
	return clusterWith(objects...)
}
