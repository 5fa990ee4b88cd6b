package controllers

import (
	"cmp"
	"slices"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// fairQueue hands out requests so that namespaces take turns, and no namespace has more than its share of the
// workers: a namespace with many AppTiers, or slow ones, makes others wait no longer than a few passes. Within a
// namespace it orders by priority, then first in, first out.
//
// Ready requests wait here, because the queue itself hands out first in, first out. For the queue they are being
// processed, so a request that is added again meanwhile is processed once more.
type fairQueue struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	share int

	mutex sync.Mutex // guards the fields below
	// changed wakes workers: there is more to do, or the queue is shut down.
	changed *sync.Cond
	ended   bool
	// running are how many of a namespace are with workers.
	running map[string]int
	waiting map[string][]prioritized
	// turns are the namespaces that wait, the one whose turn is next first.
	turns []string
}

type prioritized struct {
	request  reconcile.Request
	priority int
}

// newFairQueue returns the constructor of the queue for a controller with so many workers. One namespace gets at most
// half of them, but at least one.
func newFairQueue(workers int) func(string, workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		// As a controller makes it by default.
		queue := priorityqueue.New(name, func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = limiter })
		q := &fairQueue{PriorityQueue: queue, share: max(1, workers/2), running: map[string]int{}, waiting: map[string][]prioritized{}}
		q.changed = sync.NewCond(&q.mutex)
		go q.fill()
		return q
	}
}

// fill takes ready requests from the queue, until it is shut down.
func (q *fairQueue) fill() {
	for {
		request, priority, shutdown := q.PriorityQueue.GetWithPriority()
		q.mutex.Lock()
		if q.ended = shutdown; !shutdown {
			q.wait(prioritized{request, priority})
		}
		q.mutex.Unlock()
		q.changed.Broadcast()
		if shutdown {
			return
		}
	}
}

// wait is called with the mutex held.
func (q *fairQueue) wait(p prioritized) {
	namespace := p.request.Namespace
	list := q.waiting[namespace]
	if len(list) == 0 {
		q.turns = append(q.turns, namespace)
	}
	at, _ := slices.BinarySearchFunc(list, p, func(before, p prioritized) int {
		return cmp.Or(cmp.Compare(p.priority, before.priority), -1) // behind those of its priority
	})
	q.waiting[namespace] = slices.Insert(list, at, p)
}

// Get returns the next request, or says that there will be none.
func (q *fairQueue) Get() (reconcile.Request, bool) {
	request, _, shutdown := q.GetWithPriority()
	return request, shutdown
}

// GetWithPriority returns the next request, or says that there will be none.
func (q *fairQueue) GetWithPriority() (reconcile.Request, int, bool) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for !q.ended {
		if next, found := q.next(); found {
			return next.request, next.priority, false
		}
		q.changed.Wait()
	}
	return reconcile.Request{}, 0, true
}

// next takes the first request of the first namespace that has a share left. It is called with the mutex held.
func (q *fairQueue) next() (prioritized, bool) {
	for i, namespace := range q.turns {
		if q.running[namespace] >= q.share {
			continue
		}
		list := q.waiting[namespace]
		q.running[namespace]++
		q.turns = slices.Delete(q.turns, i, i+1)
		if q.waiting[namespace] = list[1:]; len(list) > 1 {
			q.turns = append(q.turns, namespace)
		} else {
			delete(q.waiting, namespace)
		}
		return list[0], true
	}
	return prioritized{}, false
}

// Done gives the share back.
func (q *fairQueue) Done(request reconcile.Request) {
	q.mutex.Lock()
	if q.running[request.Namespace]--; q.running[request.Namespace] == 0 {
		delete(q.running, request.Namespace)
	}
	q.mutex.Unlock()
	q.changed.Broadcast()
	q.PriorityQueue.Done(request)
}
