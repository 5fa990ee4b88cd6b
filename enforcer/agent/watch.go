package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// complainEvery is how often, at most, a failing API server is logged.
const complainEvery = 10 * time.Second

// watcher writes to a store what the API server shows.
type watcher struct {
	store  *store
	client kubernetes.Interface
	log    logr.Logger
	// complain keeps reflectors from complaining again and again, each on its own.
	complain rate.Sometimes
	contact  contact
	staged   *stagedWatcher // nil for none
	running  sync.WaitGroup
}

func newWatcher(client kubernetes.Interface, s *store, log logr.Logger) *watcher {
	return &watcher{store: s, client: client, log: log, complain: rate.Sometimes{First: 1, Interval: complainEvery}}
}

// start returns true when everything has been listed once, or false when the context has ended.
func (w *watcher) start(ctx context.Context) bool {
	pods, namespaces := w.client.CoreV1().Pods(""), w.client.CoreV1().Namespaces()
	nodes, policies := w.client.CoreV1().Nodes(), w.client.NetworkingV1().NetworkPolicies("")
	self := fields.OneTermEqualSelector(metav1.ObjectNameField, w.store.node).String()
	reflect(ctx, w, &corev1.Pod{}, w.store.pods, "", pods.List, pods.Watch)
	reflect(ctx, w, &corev1.Namespace{}, w.store.namespaces, "", namespaces.List, namespaces.Watch)
	reflect(ctx, w, &corev1.Node{}, w.store.nodes, self, nodes.List, nodes.Watch)
	reflect(ctx, w, &networkingv1.NetworkPolicy{}, w.store.policies, "", policies.List, policies.Watch)
	if w.staged != nil {
		w.running.Go(func() { w.staged.run(ctx, w.client) })
	}
	for _, listed := range []chan struct{}{w.store.pods.listed, w.store.namespaces.listed, w.store.nodes.listed, w.store.policies.listed} {
		select {
		case <-listed:
		case <-ctx.Done():
			return false
		}
	}
	if w.staged != nil {
		w.staged.await(ctx)
	}
	return ctx.Err() == nil
}

// reflect keeps a kind of objects up to date until the context ends. An informer would keep its own
// copies of them, and pass each change through two queues more.
func reflect[L runtime.Object](
	ctx context.Context, w *watcher, expected runtime.Object, store cache.TransformingStore, selector string,
	list func(context.Context, metav1.ListOptions) (L, error),
	follow func(context.Context, metav1.ListOptions) (watch.Interface, error),
) {
	kind := fmt.Sprintf("%T", expected)
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			all, err := list(ctx, o)
			w.failed(ctx, err)
			return all, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			w.contact.ask(kind, time.Now())
			events, err := follow(ctx, o)
			w.failed(ctx, err)
			if err == nil {
				w.contact.answered(kind)
			}
			return events, err
		},
	}
	r := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, w.client), expected, store, cache.ReflectorOptions{})
	w.running.Go(func() { r.RunWithContext(klog.NewContext(ctx, logr.Discard())) })
}

func (w *watcher) failed(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		w.complain.Do(func() { w.log.Error(err, "Cannot watch the cluster; trying again, and the last good rules stay") })
	}
}
