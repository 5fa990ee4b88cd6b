package agent

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/util/workqueue"
)

const (
	// coalesce is how long a change waits for others to join it.
	coalesce = 5 * time.Millisecond
	// share keeps syncs to a part of the time under constant change: after a sync that took
	// d, the next starts no sooner than share*d later.
	share = 2
	// Failed syncs are repeated after firstRetry, then twice as long each time, up to lastRetry.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
	// verifyEvery is how often the kernel's table is looked at; verifyShare makes it rarer where
	// that takes long: one part of this many of the time.
	verifyEvery = 5 * time.Second
	verifyShare = 100
)

// worker is what the loop drives; Syncer is one.
type worker interface {
	Sync(ctx context.Context) error
	Verify(ctx context.Context) (ok bool, err error)
}

// loop decides when to sync: soon after a change, later after a failure, and when the kernel's
// table is no longer ours.
type loop struct {
	worker worker
	queue  workqueue.TypedRateLimitingInterface[task]
	log    logr.Logger

	synced atomic.Bool // the first sync succeeded
	alive  atomic.Int64

	notBefore time.Time // of the next sync; for the goroutine of run alone

	mu      sync.Mutex
	waiting []chan struct{} // for a sync that is yet to begin to succeed
}

// task is what the loop has to do; the queue holds each at most once.
type task string

const (
	syncTask   task = "sync"
	verifyTask task = "verify"
	expiryTask task = "expiry" // a sync too: the queue knows only one time for each task
)

func newLoop(w worker, log logr.Logger) *loop {
	return &loop{
		worker: w,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[task](firstRetry, lastRetry)),
		log: log,
	}
}

// changed asks for a sync soon. It never blocks.
func (l *loop) changed() {
	l.queue.AddAfter(syncTask, coalesce)
}

// changedIn asks for a sync after a while.
func (l *loop) changedIn(d time.Duration) { l.queue.AddAfter(expiryTask, d) }

// await asks for a sync, and waits until it has succeeded or the context has ended.
func (l *loop) await(ctx context.Context) error {
	done := make(chan struct{})
	l.mu.Lock()
	l.waiting = append(l.waiting, done)
	l.mu.Unlock()
	l.changed()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run works until the context ends. The rules stay.
func (l *loop) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, l.queue.ShutDown)
	defer stop()
	l.queue.Add(syncTask)
	l.queue.AddAfter(verifyTask, verifyEvery)
	for {
		next, shutdown := l.queue.Get()
		if shutdown {
			return
		}
		switch next {
		case syncTask, expiryTask:
			l.sync(ctx)
		case verifyTask:
			l.verify(ctx)
		}
		l.alive.Store(time.Now().UnixNano())
		l.queue.Done(next)
	}
}

func (l *loop) sync(ctx context.Context) {
	started := time.Now()
	if early := l.notBefore.Sub(started); early > 0 {
		l.queue.AddAfter(syncTask, early)
		return
	}
	l.mu.Lock()
	served := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	if err := l.worker.Sync(ctx); err != nil {
		l.mu.Lock()
		l.waiting = append(l.waiting, served...)
		l.mu.Unlock()
		l.log.Error(err, "Sync failed; the last good rules stay", "failures", l.queue.NumRequeues(syncTask)+1)
		l.queue.AddRateLimited(syncTask)
		return
	}
	l.queue.Forget(syncTask)
	l.synced.Store(true)
	for _, done := range served {
		close(done)
	}
	l.notBefore = time.Now().Add(share * time.Since(started))
}

func (l *loop) verify(ctx context.Context) {
	started := time.Now()
	defer func() { l.queue.AddAfter(verifyTask, max(verifyEvery, verifyShare*time.Since(started))) }()
	if !l.synced.Load() {
		return
	}
	ok, err := l.worker.Verify(ctx)
	if err != nil {
		l.log.Error(err, "Cannot look at the table in the kernel")
		return
	}
	if !ok {
		l.queue.Add(syncTask)
	}
}

// stuck tells whether the loop has done nothing for as long as it never should.
func (l *loop) stuck() bool {
	last := l.alive.Load()
	return last != 0 && time.Since(time.Unix(0, last)) > 2*transactionTimeout+lastRetry
}
