package agent

import (
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/programmed"
)

// store keeps what the API server shows, as far as policies look at it, and tells a compiler what of it
// has changed. What changes several times before the compiler asks is told once.
type store struct {
	node    string
	now     func() time.Time
	changed func() // is called after every change that matters; must not block

	mu         sync.Mutex
	pods       *kind[*shownPod]
	namespaces *kind[*corev1.Namespace]
	nodes      *kind[*corev1.Node]
	policies   *kind[*compile.Policy]
	staged     *kind[*compile.Policy]
	announced  map[types.NamespacedName]announcement
	// flows is told who has which address; nil if nobody asks.
	flows *flows.Flows
	// recalled is what this node was last, while it has no object; nil if it has one, or that was told.
	recalled *corev1.Node
	// told are the versions of the latest events about policies that the compiler has heard of.
	told programmed.Versions
}

// shownPod is a pod as the API server shows it.
type shownPod struct {
	*ipset.Pod
	key                            types.NamespacedName
	uid                            types.UID
	finished, leaving, hostNetwork bool
	workload                       flows.Workload
	created, started               int64 // in seconds; 0 if it is not known
	past                           *past // nil if it has not finished
}

func newStore(node string, changed func(), now func() time.Time) *store {
	s := &store{node: node, now: now, changed: changed, announced: map[types.NamespacedName]announcement{}}
	s.pods = newKind(s, s.readPod, keyOfPod, samePod)
	s.pods.deleted = s.forget
	s.namespaces = newKind(s, readNamespace, keyOf, sameObject)
	s.nodes = newKind(s, readNode, keyOf, sameObject)
	s.nodes.deleted = func(last *corev1.Node) {
		if last.Name == node {
			s.recalled = last
		}
	}
	s.policies = newKind(s, readPolicy, (*compile.Policy).Key, (*compile.Policy).Equal)
	s.staged = newKind(s, readStaged, (*compile.Policy).Key, (*compile.Policy).Equal)
	for _, k := range []*kind[*compile.Policy]{s.policies, s.staged} {
		k.events, k.version = &programmed.Events{}, (*compile.Policy).Version
	}
	return s
}

// apply tells the compiler what has changed since the last time.
func (s *store) apply(to *compile.Compiler) {
	s.mu.Lock()
	nodes, namespaces, policies, staged := s.nodes.take(), s.namespaces.take(), s.policies.take(), s.staged.take()
	pods, recalled := s.pods.take(), s.recalled
	s.recalled = nil
	s.told = programmed.Versions{NetworkPolicies: s.policies.events.Latest(), StagedNetworkPolicies: s.staged.events.Latest()}
	merged := make(map[types.NamespacedName]*ipset.Pod, len(pods))
	for key, shown := range pods {
		merged[key] = s.merge(key, shown)
	}
	s.mu.Unlock()

	if recalled != nil {
		to.SetNode(recalled)
	}
	tell(nodes, to.SetNode, func(types.NamespacedName) {})
	tell(namespaces, to.SetNamespace, func(key types.NamespacedName) { to.DeleteNamespace(key.Name) })
	tell(merged, to.PutPod, func(key types.NamespacedName) { to.DeletePod(key.Namespace, key.Name) })
	tell(policies, to.PutPolicy, func(key types.NamespacedName) { to.DeletePolicy(key.Namespace, key.Name) })
	tell(staged, to.PutStaged, func(key types.NamespacedName) { to.DeleteStaged(key.Namespace, key.Name) })
}

// tell passes on what is there, and what is nil as gone.
func tell[T comparable](changes map[types.NamespacedName]T, set func(T), gone func(types.NamespacedName)) {
	var none T
	for key, object := range changes {
		if object == none {
			gone(key)
		} else {
			set(object)
		}
	}
}

// kind is the objects of one kind, and which of them the compiler has not heard of as they are. It is
// what a reflector writes to: cache.TransformingStore, whose objects are small before they are many.
type kind[T comparable] struct {
	store *store
	read  func(any) T
	key   func(T) types.NamespacedName
	// same says whether two objects differ in nothing that matters.
	same func(a, b T) bool
	// deleted is told of objects that are gone.
	deleted func(T)
	// events are noted, if it is not nil, by the versions of objects.
	events  *programmed.Events
	version func(T) programmed.Version
	// noted is told of each change that matters, with what there was before; the store is locked.
	noted func(key types.NamespacedName, old T)

	objects map[types.NamespacedName]T
	dirty   map[types.NamespacedName]bool
	once    sync.Once
	listed  chan struct{} // closed when all objects were listed once
}

func newKind[T comparable](s *store, read func(any) T, key func(T) types.NamespacedName, same func(a, b T) bool) *kind[T] {
	return &kind[T]{
		store: s, read: read, key: key, same: same, deleted: func(T) {}, noted: func(types.NamespacedName, T) {},
		objects: map[types.NamespacedName]T{}, dirty: map[types.NamespacedName]bool{}, listed: make(chan struct{}),
	}
}

// Add is cache.ReflectorStore's.
func (k *kind[T]) Add(object any) error {
	read := k.read(object)
	k.store.mu.Lock()
	matters := k.put(read)
	noted := k.note(read)
	k.store.mu.Unlock()
	if matters || noted {
		k.store.changed()
	}
	return nil
}

// Update is cache.ReflectorStore's.
func (k *kind[T]) Update(object any) error { return k.Add(object) }

// Delete is cache.ReflectorStore's.
func (k *kind[T]) Delete(object any) error {
	read := k.read(object)
	k.store.mu.Lock()
	k.drop(k.key(read))
	k.note(read)
	k.store.mu.Unlock()
	k.store.changed()
	return nil
}

// Replace is cache.ReflectorStore's: these are all objects that there are.
func (k *kind[T]) Replace(objects []any, version string) error {
	all := make([]T, len(objects))
	for i, object := range objects {
		all[i] = k.read(object)
	}
	k.store.mu.Lock()
	gone := maps.Clone(k.objects)
	for _, read := range all {
		key := k.key(read)
		if before, known := gone[key]; k.events != nil && (!known || k.version(before) != k.version(read)) {
			k.events.Found(key.Namespace, k.version(read))
		}
		delete(gone, key)
		k.put(read)
	}
	for key := range gone {
		k.drop(key)
	}
	k.list(programmed.ParseVersion(version), gone)
	k.store.mu.Unlock()
	k.once.Do(func() { close(k.listed) })
	k.store.changed()
	return nil
}

// Resync is cache.ReflectorStore's, and never asked for.
func (k *kind[T]) Resync() error { return nil }

// Transformer is cache.TransformingStore's.
func (k *kind[T]) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return k.read(object), nil }
}

func (k *kind[T]) put(object T) (matters bool) {
	key := k.key(object)
	old, known := k.objects[key]
	k.objects[key] = object
	if known && k.same(old, object) {
		return false
	}
	k.dirty[key] = true
	k.noted(key, old)
	return true
}

func (k *kind[T]) drop(key types.NamespacedName) {
	if old, known := k.objects[key]; known {
		delete(k.objects, key)
		k.dirty[key] = true
		k.deleted(old)
		k.noted(key, old)
	}
}

// note notes an event about an object, which is now as it was read, or gone.
func (k *kind[T]) note(read T) bool {
	if k.events != nil {
		k.events.Saw(k.key(read).Namespace, k.version(read))
	}
	return k.events != nil
}

// list notes a list of this version, and what was gone from it.
func (k *kind[T]) list(version programmed.Version, gone map[types.NamespacedName]T) {
	if k.events == nil {
		return
	}
	for key := range gone {
		k.events.Found(key.Namespace, version)
	}
	k.events.Listed(version)
}

// take returns what has changed, with nil for what is gone.
func (k *kind[T]) take() map[types.NamespacedName]T {
	out := make(map[types.NamespacedName]T, len(k.dirty))
	for key := range k.dirty {
		out[key] = k.objects[key]
	}
	clear(k.dirty)
	return out
}

func (s *store) readPod(object any) *shownPod {
	o, ok := object.(*corev1.Pod)
	if !ok {
		return object.(*shownPod)
	}
	return &shownPod{
		Pod: ipset.NewPod(o, s.node), key: types.NamespacedName{Namespace: o.Namespace, Name: o.Name}, uid: o.UID,
		finished: kube.Finished(o),
		leaving:  o.DeletionTimestamp != nil, hostNetwork: o.Spec.HostNetwork,
		workload: flows.WorkloadOf(o), created: seconds(&o.CreationTimestamp), started: seconds(o.Status.StartTime),
		past: pastOf(o),
	}
}

func keyOfPod(p *shownPod) types.NamespacedName { return p.key }

func samePod(a, b *shownPod) bool {
	return a.Equal(b.Pod) && a.uid == b.uid && a.finished == b.finished && a.leaving == b.leaving && a.hostNetwork == b.hostNetwork
}

func readNamespace(object any) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: trimMeta(object.(*corev1.Namespace).ObjectMeta)}
}

func readNode(object any) *corev1.Node {
	o := object.(*corev1.Node)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: o.Name, UID: o.UID}}
	node.Spec.PodCIDR, node.Spec.PodCIDRs = o.Spec.PodCIDR, o.Spec.PodCIDRs
	node.Status.Addresses = o.Status.Addresses
	return node
}

func readPolicy(object any) *compile.Policy {
	if o, ok := object.(*networkingv1.NetworkPolicy); ok {
		return compile.NewPolicy(o)
	}
	return object.(*compile.Policy)
}

func trimMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, ResourceVersion: m.ResourceVersion, Labels: m.Labels,
	}
}

func keyOf[T metav1.Object](object T) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// sameObject says whether at most the version of an object changed: a node reports its health far
// more often than anything that matters here.
func sameObject[T metav1.Object](a, b T) bool {
	version := b.GetResourceVersion()
	b.SetResourceVersion(a.GetResourceVersion())
	defer b.SetResourceVersion(version)
	return equality.Semantic.DeepEqual(a, b)
}
