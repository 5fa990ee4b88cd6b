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
	// Failed syncs are repeated after firstRetry, then twice as long each time, up to lastRetry.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
	// glanceEvery is how often the agent asks the kernel whether anything has changed, which takes some
	// microseconds; verifyEvery is how often it then reads the whole table. If these take long, verifyShare
	// makes them rarer: they take at most one part in verifyShare of the time.
	glanceEvery = 100 * time.Millisecond
	verifyEvery = 5 * time.Second
	verifyShare = 100
)

// worker is what the loop drives; Syncer is one.
type worker interface {
	Sync(ctx context.Context) error
	// Glance makes a quick check, Verify a full one.
	Glance(ctx context.Context) (ok bool, err error)
	Verify(ctx context.Context) (ok bool, err error)
}

// loop decides when to sync: at once after a change, later after a failure, and when another process has
// changed the table. All changes during a sync share the next one: so a change waits for at most one
// other sync.
type loop struct {
	worker worker
	queue  workqueue.TypedDelayingInterface[task]
	// retry tells how long to wait after a failure.
	retry workqueue.TypedRateLimiter[task]
	// expire is called before the sync that expireIn has asked for, and returns when to do so again.
	expire func() time.Duration
	log    logr.Logger

	progress progress
	alive    atomic.Int64 // when it last did something; 0 before it runs

	notBefore time.Time // of the next sync, after a failure; for the goroutine of run alone

	mu      sync.Mutex
	waiting []chan struct{} // for a sync that is yet to begin to succeed
}

// task is what the loop has to do; the queue holds each at most once.
type task string

const (
	syncTask   task = "sync"
	verifyTask task = "verify"
	glanceTask task = "glance"
	expiryTask task = "expiry"
)

func newLoop(w worker, log logr.Logger) *loop {
	return &loop{
		worker: w,
		queue:  workqueue.NewTypedDelayingQueue[task](),
		retry:  workqueue.NewTypedItemExponentialFailureRateLimiter[task](firstRetry, lastRetry),
		expire: func() time.Duration { return 0 },
		log:    log,
	}
}

// changed asks for a sync. It never blocks.
func (l *loop) changed() {
	l.progress.changed(time.Now())
	l.queue.Add(syncTask)
}

// expireIn asks for a sync after a while, if none was asked for sooner.
func (l *loop) expireIn(d time.Duration) { l.queue.AddAfter(expiryTask, d) }

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
	l.alive.Store(time.Now().UnixNano())
	l.changed()
	l.queue.AddAfter(verifyTask, verifyEvery)
	l.queue.AddAfter(glanceTask, glanceEvery)
	for {
		next, shutdown := l.queue.Get()
		if shutdown {
			return
		}
		switch next {
		case syncTask:
			l.sync(ctx)
		case expiryTask:
			if next := l.expire(); next > 0 {
				l.expireIn(next)
			}
			l.sync(ctx)
		case verifyTask:
			l.verify(ctx, verifyTask, verifyEvery, l.worker.Verify)
		case glanceTask:
			l.verify(ctx, glanceTask, glanceEvery, l.worker.Glance)
		}
		l.alive.Store(time.Now().UnixNano())
		l.queue.Done(next)
	}
}

func (l *loop) sync(ctx context.Context) {
	if early := time.Until(l.notBefore); early > 0 {
		l.queue.AddAfter(syncTask, early)
		return
	}
	waiting := l.takeWaiting()
	l.progress.begin()
	err := l.worker.Sync(ctx)
	l.progress.end(err)
	if err != nil {
		l.log.Error(err, "Sync failed; the last good rules stay", "failures", l.retry.NumRequeues(syncTask)+1)
		l.giveBack(waiting)
		later := l.retry.When(syncTask)
		l.notBefore = time.Now().Add(later)
		l.queue.AddAfter(syncTask, later)
		return
	}
	l.retry.Forget(syncTask)
	for _, done := range waiting {
		close(done)
	}
}

func (l *loop) takeWaiting() []chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.waiting
	l.waiting = nil
	return waiting
}

func (l *loop) giveBack(waiting []chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, waiting...)
}

// verify looks at the table, and has it written again if need be; it comes again after a while.
func (l *loop) verify(ctx context.Context, it task, every time.Duration, look func(context.Context) (bool, error)) {
	started := time.Now()
	defer func() { l.queue.AddAfter(it, max(every, verifyShare*time.Since(started))) }()
	if !l.progress.begun() {
		return
	}
	ok, err := look(ctx)
	if err != nil {
		l.log.Error(err, "Cannot look at the table in the kernel")
		return
	}
	if !ok {
		l.changed()
	}
}

// stuck says whether the loop has done nothing for too long.
func (l *loop) stuck() bool {
	last := l.alive.Load()
	return last != 0 && time.Since(time.Unix(0, last)) > 2*transactionTimeout+lastRetry
}
