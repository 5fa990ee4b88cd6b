package webhooks

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
)

// Cluster is what NetworkPolicies are judged against. It reads the objects of the manager's cache
// where they are, and never changes one: with a client, every request would copy the cluster.
type Cluster struct {
	appTiers   store[*v1alpha1.AppTier]
	namespaces store[*corev1.Namespace]
	pods       store[*corev1.Pod]
	services   store[*corev1.Service]
	policies   store[*networkingv1.NetworkPolicy]
}

// +kubebuilder:rbac:groups=core,resources=namespaces;pods;services,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers,verbs=get;list;watch

// ClusterOf returns the cluster that a cache shows. The cache must have started: this waits until
// everything is there, so that nothing is judged against half a cluster.
func ClusterOf(ctx context.Context, from cache.Cache) (*Cluster, error) {
	c := &Cluster{}
	for _, part := range []struct {
		of   client.Object
		into *toolscache.Indexer
	}{
		{&v1alpha1.AppTier{}, &c.appTiers.Indexer},
		{&corev1.Namespace{}, &c.namespaces.Indexer},
		{&corev1.Pod{}, &c.pods.Indexer},
		{&corev1.Service{}, &c.services.Indexer},
		{&networkingv1.NetworkPolicy{}, &c.policies.Indexer},
	} {
		informer, err := from.GetInformer(ctx, part.of)
		if err != nil {
			return nil, fmt.Errorf("reading %Ts into the cache: %w", part.of, err)
		}
		shared, ok := informer.(toolscache.SharedIndexInformer)
		if !ok {
			return nil, fmt.Errorf("the cache keeps %Ts as %T, which cannot be read in place", part.of, informer)
		}
		*part.into = shared.GetIndexer()
	}
	return c, nil
}

// store is the part of a cache with objects of one type, which must not be changed.
type store[T client.Object] struct{ toolscache.Indexer }

// in returns the objects of a namespace, in no order.
func (s store[T]) in(namespace string) []T {
	objects, err := s.ByIndex(toolscache.NamespaceIndex, namespace)
	if err != nil {
		return nil // every cache of a manager has this index
	}
	return typed[T](objects)
}

// all returns every object, in no order.
func (s store[T]) all() []T { return typed[T](s.List()) }

func typed[T any](objects []any) []T {
	out := make([]T, 0, len(objects))
	for _, object := range objects {
		if o, ok := object.(T); ok {
			out = append(out, o)
		}
	}
	return out
}

// namespace returns a namespace by its name, or nil.
func (c *Cluster) namespace(name string) *corev1.Namespace {
	object, _, err := c.namespaces.GetByKey(name)
	if err != nil {
		return nil
	}
	namespace, _ := object.(*corev1.Namespace)
	return namespace
}

// hasAppTier says whether a namespace has an AppTier that is to stay.
func (c *Cluster) hasAppTier(namespace string) bool {
	return slices.ContainsFunc(c.appTiers.in(namespace), func(app *v1alpha1.AppTier) bool { return app.DeletionTimestamp.IsZero() })
}

// world is the cluster as far as it can matter to a policy: of pods, Services and policies only
// those of its own namespace, of those that its peers may be in, and of the cluster's DNS. Whatever
// lint asks of a whole cluster, it asks about these; TestWorldIsEnough holds it to that.
func (c *Cluster) world(policy *networkingv1.NetworkPolicy) lint.World {
	w := lint.World{Whole: true, Known: lint.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}, Namespaces: c.namespaces.all()}
	wanted := map[string]bool{policy.Namespace: true, metav1.NamespaceSystem: true}
	isPeer := peerNamespaces(policy)
	for _, namespace := range w.Namespaces {
		if isPeer(namespace) {
			wanted[namespace.Name] = true
		}
	}
	for _, service := range c.services.all() {
		if isDNS := service.Labels[dnsLabel] == dnsName; isDNS {
			wanted[service.Namespace] = true
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(wanted)) {
		w.Pods = append(w.Pods, c.pods.in(namespace)...)
		w.Services = append(w.Services, sorted(c.services.in(namespace))...)
		for _, other := range sorted(c.policies.in(namespace)) {
			if isGenerated(other) {
				w.Generated = append(w.Generated, other)
			} else {
				w.Policies = append(w.Policies, other)
			}
		}
	}
	return w
}

// Label of the Services of a cluster's DNS.
const (
	dnsLabel = "k8s-app"
	dnsName  = "kube-dns"
)

// sorted makes findings the same every time: they name the first example.
func sorted[T client.Object](objects []T) []T {
	slices.SortFunc(objects, func(a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return objects
}

// peerNamespaces says which namespaces the peers of a policy may be in, beside its own, as far as it
// matters: who is meant by an address, or by nothing, is not asked but for what they call a port.
func peerNamespaces(policy *networkingv1.NetworkPolicy) func(*corev1.Namespace) bool {
	var selectors []labels.Selector
	add := func(peers []networkingv1.NetworkPolicyPeer) {
		for _, peer := range peers {
			// One that is not valid is refused without looking further. None selects nothing.
			if selector, err := metav1.LabelSelectorAsSelector(peer.NamespaceSelector); err == nil {
				selectors = append(selectors, selector)
			}
		}
	}
	for _, rule := range policy.Spec.Ingress {
		add(rule.From)
	}
	for _, rule := range policy.Spec.Egress {
		add(rule.To)
		byAddress := len(rule.To) == 0 || slices.ContainsFunc(rule.To, func(peer networkingv1.NetworkPolicyPeer) bool { return peer.IPBlock != nil })
		if byAddress && slices.ContainsFunc(rule.Ports, isNamed) {
			selectors = append(selectors, labels.Everything())
		}
	}
	return func(namespace *corev1.Namespace) bool {
		return slices.ContainsFunc(selectors, func(s labels.Selector) bool { return s.Matches(labels.Set(namespace.Labels)) })
	}
}

func isNamed(port networkingv1.NetworkPolicyPort) bool {
	return port.Port != nil && port.Port.Type == intstr.String
}

// isGenerated says whether a policy is an AppTier's. What only bears the labels of one may be an
// orphan, or pretend.
func isGenerated(policy *networkingv1.NetworkPolicy) bool {
	return v1alpha1.OwnerOf(policy) != "" && lint.IsGenerated(policy)
}
