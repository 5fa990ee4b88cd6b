package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/apptier/apptier/policy/reach"
)

// complainEvery is how often, at most, a failing API server is logged.
const complainEvery = 10 * time.Second

// watcher keeps the objects that decide about policies in memory.
type watcher struct {
	factory       informers.SharedInformerFactory
	announcements *announcements
}

// newWatcher calls changed after every change that matters; changed must not block.
func newWatcher(client kubernetes.Interface, changed func(), announced *announcements, log logr.Logger) (*watcher, error) {
	// Without the API server every informer complains, again and again.
	complain := rate.Sometimes{First: 1, Interval: complainEvery}
	failed := func(_ context.Context, _ *cache.Reflector, err error) {
		complain.Do(func() { log.Error(err, "Cannot watch the cluster; trying again, and the last good rules stay") })
	}
	// No resync: the store is the truth, and syncs do not depend on single events.
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(trim))
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Pods().Informer(),
		factory.Core().V1().Namespaces().Informer(),
		factory.Core().V1().Nodes().Informer(),
		factory.Networking().V1().NetworkPolicies().Informer(),
	} {
		if err := informer.SetWatchErrorHandlerWithContext(failed); err != nil {
			return nil, fmt.Errorf("watching: %w", err)
		}
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { changed() },
			DeleteFunc: func(object any) {
				if pod, ok := object.(*corev1.Pod); ok {
					announced.forget(pod)
				}
				changed()
			},
			UpdateFunc: func(before, after any) {
				if differ(before, after) {
					changed()
				}
			},
		})
		if err != nil {
			return nil, fmt.Errorf("watching: %w", err)
		}
	}
	return &watcher{factory, announced}, nil
}

// start returns true when everything has been listed once, or false when the context has ended.
func (w *watcher) start(ctx context.Context) bool {
	w.factory.Start(ctx.Done())
	for _, synced := range w.factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return false
		}
	}
	return true
}

// snapshot returns what is known now. It must not be modified.
func (w *watcher) snapshot() reach.Snapshot {
	// Listing from memory everything there is cannot fail.
	pods, _ := w.factory.Core().V1().Pods().Lister().List(labels.Everything())
	namespaces, _ := w.factory.Core().V1().Namespaces().Lister().List(labels.Everything())
	nodes, _ := w.factory.Core().V1().Nodes().Lister().List(labels.Everything())
	policies, _ := w.factory.Networking().V1().NetworkPolicies().Lister().List(labels.Everything())
	pods = w.announcements.mergeAll(pods)
	return reach.Snapshot{Pods: pods, Namespaces: namespaces, Nodes: nodes, Policies: policies}
}

// pod returns what the API server shows under a name, or nil.
func (w *watcher) pod(key types.NamespacedName) *corev1.Pod {
	pod, err := w.factory.Core().V1().Pods().Lister().Pods(key.Namespace).Get(key.Name)
	if err != nil {
		return nil // it is not in memory
	}
	return pod
}

// differ tells whether more than the version of a trimmed object changed: a node reports its
// health, and a pod its conditions, far more often than anything that matters here.
func differ(before, after any) bool {
	a, okA := before.(runtime.Object)
	b, okB := after.(runtime.Object)
	if !okA || !okB {
		return true
	}
	return !equality.Semantic.DeepEqual(withoutVersion(a), withoutVersion(b))
}

func withoutVersion(object runtime.Object) runtime.Object {
	c := object.DeepCopyObject()
	if accessor, err := meta.Accessor(c); err == nil {
		accessor.SetResourceVersion("")
		accessor.SetGeneration(0)
	}
	return c
}
