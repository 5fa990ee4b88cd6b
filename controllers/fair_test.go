package controllers

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// workplace is a queue with workers, as a controller has them.
type workplace struct {
	queue priorityqueue.PriorityQueue[reconcile.Request]
	takes func(reconcile.Request) time.Duration

	mutex   sync.Mutex
	running map[string]int
	most    map[string]int
	done    []reconcile.Request
}

func newWorkplace(workers int, takes func(reconcile.Request) time.Duration) *workplace {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Millisecond, time.Second)
	w := &workplace{takes: takes, running: map[string]int{}, most: map[string]int{}}
	w.queue = newFairQueue(workers)("test", limiter).(priorityqueue.PriorityQueue[reconcile.Request])
	return w
}

// open has workers begin.
func (w *workplace) open(workers int) {
	for range workers {
		go w.work()
	}
}

// sees reads what workers write.
func (w *workplace) sees(f func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	f()
}

func (w *workplace) work() {
	for {
		request, _, shutdown := w.queue.GetWithPriority()
		if shutdown {
			return
		}
		w.note(request, 1)
		<-time.After(w.takes(request))
		w.note(request, -1)
		w.queue.Done(request)
	}
}

func (w *workplace) note(request reconcile.Request, more int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.running[request.Namespace] += more
	w.most[request.Namespace] = max(w.most[request.Namespace], w.running[request.Namespace])
	if more < 0 {
		w.done = append(w.done, request)
	}
}

func requestFor(namespace string, i int) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: fmt.Sprint("app-", i)}}
}

// A hundred AppTiers of one namespace that take an hour each hold half of the workers; those of others are
// seen to at once.
func TestOneNamespaceDoesNotStarveOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkplace(8, func(r reconcile.Request) time.Duration {
			if r.Namespace == "crowd" {
				return time.Hour
			}
			return time.Millisecond
		})
		w.open(8)
		defer w.queue.ShutDown()
		for i := range 100 {
			w.queue.Add(requestFor("crowd", i))
		}
		synctest.Wait()
		for i := range 20 {
			w.queue.Add(requestFor("other", i))
		}
		<-time.After(time.Second)
		synctest.Wait()
		w.sees(func() {
			if len(w.done) != 20 || w.running["crowd"] != 4 {
				t.Errorf("%d others are done beside a crowd of which %d are with workers", len(w.done), w.running["crowd"])
			}
		})
		<-time.After(25 * time.Hour)
		synctest.Wait()
		w.sees(func() {
			if len(w.done) != 120 || w.most["crowd"] != 4 {
				t.Errorf("%d are done in the end, and %d of the crowd were at once", len(w.done), w.most["crowd"])
			}
		})
	})
}

// Namespaces that wait take turns, and what one of them waits for comes in its order.
func TestNamespacesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkplace(2, func(reconcile.Request) time.Duration { return time.Minute })
		defer w.queue.ShutDown()
		for _, namespace := range []string{"a", "b", "c"} {
			for i := range 3 {
				w.queue.Add(requestFor(namespace, i))
			}
		}
		w.queue.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(-100)}, requestFor("a", 4))
		w.queue.AddWithOpts(priorityqueue.AddOpts{}, requestFor("a", 3))
		synctest.Wait() // all wait before the first worker comes
		w.open(2)
		<-time.After(time.Hour)
		synctest.Wait()
		position := map[string]int{}
		w.sees(func() {
			for i, request := range w.done {
				position[request.String()] = i
			}
		})
		for _, namespace := range []string{"a", "b", "c"} {
			for i := range map[string]int{"a": 4, "b": 2, "c": 2}[namespace] {
				if position[requestFor(namespace, i).String()] > position[requestFor(namespace, i+1).String()] {
					t.Errorf("%v: not first come first served", w.done)
				}
			}
		}
		if last := position[requestFor("c", 0).String()]; last > 3 {
			t.Errorf("%v: the third namespace had its first turn at %d", w.done, last)
		}
	})
}

// However many there are, and however long they take: each is done, no namespace has more than its share, and
// what is added again while it is with a worker is done again.
func TestFairQueueLosesNothing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type change struct {
			namespace, name int
			pause, takes    time.Duration
		}
		changes := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) change {
			return change{
				rapid.IntRange(0, 3).Draw(r, "namespace"), rapid.IntRange(0, 9).Draw(r, "name"),
				time.Duration(rapid.IntRange(0, 20).Draw(r, "pause")) * time.Millisecond, time.Duration(rapid.IntRange(1, 30).Draw(r, "takes")) * time.Millisecond,
			}
		}), 1, 60).Draw(r, "changes")
		workers := rapid.IntRange(1, 8).Draw(r, "workers")
		synctest.Test(t, func(t *testing.T) {
			takes, added := map[reconcile.Request]time.Duration{}, map[reconcile.Request]time.Time{}
			for _, c := range changes {
				takes[requestFor(fmt.Sprint("team-", c.namespace), c.name)] = c.takes
			}
			w := newWorkplace(workers, func(r reconcile.Request) time.Duration { return takes[r] })
			w.open(workers)
			defer w.queue.ShutDown()
			for _, c := range changes {
				<-time.After(c.pause)
				request := requestFor(fmt.Sprint("team-", c.namespace), c.name)
				w.queue.Add(request)
				added[request] = time.Now()
			}
			<-time.After(time.Minute)
			synctest.Wait()
			w.sees(func() {
				for request := range added {
					if !slices.Contains(w.done, request) {
						t.Errorf("%s was not done", request)
					}
				}
				for namespace, most := range maps.All(w.most) {
					if most > max(1, workers/2) {
						t.Errorf("%d of %s at once with %d workers", most, namespace, workers)
					}
				}
			})
		})
	})
}
