package webhooks

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/world"
)

// Cluster is the world that NetworkPolicies are judged in. It reads the objects of the manager's cache in
// place, and never changes one: with a client, every request would copy the cluster. It keeps what takes
// time to prepare, and prepares it again for namespaces in which something changed.
type Cluster struct {
	appTiers   store[*v1alpha1.AppTier]
	namespaces store[*corev1.Namespace]
	pods       store[*corev1.Pod]
	services   store[*corev1.Service]
	policies   store[*networkingv1.NetworkPolicy]
	backends   backends
	networks   serviceNetworks

	// preparing is held while index is brought up to date.
	preparing sync.Mutex
	index     *world.Index
	changed   namespaceSet
}

// +kubebuilder:rbac:groups=core,resources=namespaces;pods;services,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies;servicecidrs,verbs=get;list;watch
// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers,verbs=get;list;watch

// ClusterOf returns the cluster of a cache. The cache must have started: ClusterOf waits until it has
// synced, so that nothing is judged in half a cluster.
func ClusterOf(ctx context.Context, from cache.Cache) (*Cluster, error) {
	c := &Cluster{}
	var followed []toolscache.InformerSynced
	for _, part := range []struct {
		of      client.Object
		into    *toolscache.Indexer
		changes toolscache.ResourceEventHandler
	}{
		{&v1alpha1.AppTier{}, &c.appTiers.Indexer, &c.changed},
		{&corev1.Namespace{}, &c.namespaces.Indexer, &c.changed},
		{&corev1.Pod{}, &c.pods.Indexer, &c.changed},
		{&corev1.Service{}, &c.services.Indexer, &c.changed},
		{&networkingv1.NetworkPolicy{}, &c.policies.Indexer, &c.changed},
		{&networkingv1.ServiceCIDR{}, &c.networks.Indexer, &c.networks},
	} {
		indexer, synced, err := follow(ctx, from, part.of, part.changes)
		if err != nil {
			return nil, err
		}
		*part.into = indexer
		followed = append(followed, synced)
	}
	for _, object := range calling() {
		indexer, synced, err := follow(ctx, from, object, &c.backends)
		if err != nil {
			return nil, err
		}
		c.backends.stores = append(c.backends.stores, indexer)
		followed = append(followed, synced)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), followed...) {
		return nil, fmt.Errorf("following changes of the cache: %w", context.Cause(ctx))
	}
	c.current() // so that no request waits for all of it
	return c, nil
}

// follow returns where a cache keeps objects of one kind, and tells a handler of their changes.
func follow(ctx context.Context, from cache.Cache, of client.Object,
	handler toolscache.ResourceEventHandler) (toolscache.Indexer, toolscache.InformerSynced, error) {
	informer, err := from.GetInformer(ctx, of)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %Ts into the cache: %w", of, err)
	}
	shared, ok := informer.(toolscache.SharedIndexInformer)
	if !ok {
		return nil, nil, fmt.Errorf("the cache keeps %Ts as %T, which cannot be read in place", of, informer)
	}
	registration, err := informer.AddEventHandler(handler)
	if err != nil {
		return nil, nil, fmt.Errorf("following changes of %Ts: %w", of, err)
	}
	return shared.GetIndexer(), registration.HasSynced, nil
}

// namespaceSet collects the namespaces in which something changed.
type namespaceSet struct {
	mutex sync.Mutex
	names map[string]bool
}

var _ toolscache.ResourceEventHandler = &namespaceSet{}

// OnAdd takes note of an object.
func (s *namespaceSet) OnAdd(object any, _ bool) { s.add(object) }

// OnUpdate takes note of an object.
func (s *namespaceSet) OnUpdate(_, object any) { s.add(object) }

// OnDelete takes note of an object.
func (s *namespaceSet) OnDelete(object any) { s.add(object) }

func (s *namespaceSet) add(object any) {
	key, err := toolscache.DeletionHandlingObjectToName(object)
	if err != nil {
		return // every object of a cache has a name
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.names == nil {
		s.names = map[string]bool{}
	}
	s.names[cmp.Or(key.Namespace, key.Name)] = true // a namespace is in none
}

// take empties the set, and returns what was in it.
func (s *namespaceSet) take() map[string]bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	names := s.names
	s.names = nil
	return names
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

// hasAppTier says whether a namespace has an AppTier that is not being deleted.
func (c *Cluster) hasAppTier(namespace string) bool {
	return slices.ContainsFunc(c.appTiers.in(namespace), func(app *v1alpha1.AppTier) bool { return app.DeletionTimestamp.IsZero() })
}

// current is the cluster as policies are judged in it.
func (c *Cluster) current() *world.Index {
	c.preparing.Lock()
	defer c.preparing.Unlock()
	if c.index == nil {
		c.index = world.NewIndex(world.World{Whole: true, Known: world.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}})
	}
	// Take the set before reading: a later change is seen here, or the next time.
	if c.backends.changed.Swap(false) {
		c.index = c.index.WithBackends(c.backends.list())
	}
	if c.networks.changed.Swap(false) {
		c.index = c.index.WithServiceNetworks(c.networks.list())
	}
	changed := c.changed.take()
	if len(changed) == 0 {
		return c.index
	}
	parts := make(map[string]world.World, len(changed))
	for name := range changed {
		parts[name] = c.in(name)
	}
	c.index = c.index.With(parts)
	return c.index
}

// in is the content of a namespace.
func (c *Cluster) in(name string) world.World {
	w := world.World{Pods: c.pods.in(name), Services: sorted(c.services.in(name))}
	if namespace := c.namespace(name); namespace != nil {
		w.Namespaces = append(w.Namespaces, namespace)
	}
	for _, policy := range sorted(c.policies.in(name)) {
		if isGenerated(policy) {
			w.Generated = append(w.Generated, policy)
		} else {
			w.Policies = append(w.Policies, policy)
		}
	}
	return w
}

// sorted makes findings the same every time: they name the first example.
func sorted[T client.Object](objects []T) []T {
	slices.SortFunc(objects, func(a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return objects
}

// isGenerated says whether an AppTier owns a policy. A policy with only the labels may be an orphan, or
// forged.
func isGenerated(policy *networkingv1.NetworkPolicy) bool {
	return v1alpha1.OwnerOf(policy) != "" && world.IsGenerated(policy)
}
