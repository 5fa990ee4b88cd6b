package agent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
)

// script is a worker that fails as long as told, and notes when it was called.
type script struct {
	began    time.Time
	mu       sync.Mutex // of failures, once the loop runs
	failures int
	foreign  atomic.Bool // the kernel's table is not ours
	gone     atomic.Bool // and that is seen at a glance
	took     atomic.Int64
	syncs    []time.Duration
}

func (s *script) Sync(context.Context) error {
	s.syncs = append(s.syncs, time.Since(s.began))
	sleep(time.Duration(s.took.Load()))
	if s.fails() {
		return errors.New("told to fail")
	}
	s.foreign.Store(false)
	s.gone.Store(false)
	return nil
}

func (s *script) Glance(context.Context) (bool, error) { return !s.gone.Load(), nil }

func (s *script) Verify(context.Context) (bool, error) { return !s.foreign.Load(), nil }

// fail has the next syncs fail.
func (s *script) fail(times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = times
}

func (s *script) fails() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures == 0 {
		return false
	}
	s.failures--
	return true
}

// sleep lets time pass in a bubble, where it costs nothing.
func sleep(d time.Duration) { <-time.After(d) }

// runLoop runs a loop for a while, in a bubble where time costs nothing.
func runLoop(t *testing.T, s *script, during func(*loop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s.began = time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		l := newLoop(s, logr.Discard())
		done := make(chan struct{})
		go func() { l.run(ctx); close(done) }()
		synctest.Wait()
		during(l)
		cancel()
		<-done
	})
}

func TestAChangeAfterAPauseIsSyncedAtOnce(t *testing.T) {
	s := &script{}
	runLoop(t, s, func(l *loop) {
		sleep(time.Second)
		l.changed()
		sleep(time.Second)
	})
	if len(s.syncs) != 2 || s.syncs[1] != time.Second {
		t.Errorf("synced at %v, want the second at 1s", s.syncs)
	}
}

// However many changes come while a sync runs, they are all in the next one, which is at once.
func TestChangesDuringASyncAreTheNextOne(t *testing.T) {
	s := &script{}
	runLoop(t, s, func(l *loop) {
		s.took.Store(int64(10 * time.Millisecond))
		for range 1000 { // one every 100 µs, for 100 ms
			l.changed()
			sleep(100 * time.Microsecond)
		}
		sleep(time.Second)
	})
	if n := len(s.syncs); n < 10 || n > 12 {
		t.Errorf("%d syncs in 100 ms of 10 ms each", n)
	}
	for i := 2; i < len(s.syncs); i++ {
		if gap := s.syncs[i] - s.syncs[i-1]; gap != 10*time.Millisecond {
			t.Errorf("sync %d came %v after the one before", i, gap)
		}
	}
}

// A kernel that refuses is left alone for a while, whatever changes.
func TestChangesDoNotHurryARetry(t *testing.T) {
	s := &script{failures: 1000}
	runLoop(t, s, func(l *loop) {
		for range 600 {
			l.changed()
			sleep(100 * time.Millisecond)
		}
	})
	if n := len(s.syncs); n > 12 {
		t.Errorf("%d syncs in a minute of failures", n)
	}
}

func TestWhoeverWaitsHearsOfTheSyncThatBeganAfterwards(t *testing.T) {
	s := &script{}
	runLoop(t, s, func(l *loop) {
		s.took.Store(int64(10 * time.Millisecond))
		s.fail(1)
		l.changed()
		synctest.Wait() // one has begun
		began := time.Now()
		if err := l.await(context.Background()); err != nil {
			t.Error(err)
		}
		// The one that fails, the pause, and the one that succeeds.
		if took := time.Since(began); took != 10*time.Millisecond+firstRetry+10*time.Millisecond {
			t.Errorf("waited %v", took)
		}
	})
}

func TestAFailureIsRepeatedEverLater(t *testing.T) {
	s := &script{failures: 20}
	runLoop(t, s, func(l *loop) {
		sleep(10 * time.Minute)
		if !l.progress.begun() {
			t.Error("not ready")
		}
	})
	if len(s.syncs) != 21 {
		t.Fatalf("%d syncs, want 20 failures and a success", len(s.syncs))
	}
	if first := s.syncs[1] - s.syncs[0]; first > 2*firstRetry {
		t.Errorf("first retry after %v", first)
	}
	for i := 1; i < len(s.syncs); i++ {
		if gap := s.syncs[i] - s.syncs[i-1]; gap > lastRetry+time.Second {
			t.Errorf("retry %d after %v", i, gap)
		}
	}
}

func TestNotReadyBeforeTheFirstSuccess(t *testing.T) {
	s := &script{failures: 1000}
	runLoop(t, s, func(l *loop) {
		sleep(time.Minute)
		if l.progress.begun() {
			t.Error("ready although nothing was written")
		}
	})
}

func TestAForeignTableIsRepairedWithinSeconds(t *testing.T) {
	s := &script{}
	runLoop(t, s, func(*loop) {
		sleep(time.Second)
		s.foreign.Store(true)
		sleep(verifyEvery + time.Second)
		if s.foreign.Load() {
			t.Error("not repaired")
		}
	})
}

func TestATableThatIsGoneIsRepairedAtOnce(t *testing.T) {
	s := &script{}
	runLoop(t, s, func(*loop) {
		sleep(time.Second)
		s.gone.Store(true)
		sleep(glanceEvery + time.Millisecond)
		if s.gone.Load() {
			t.Error("not repaired")
		}
	})
}

func TestALoopThatHangsIsNotAlive(t *testing.T) {
	s := &script{}
	runLoop(t, s, func(l *loop) {
		sleep(time.Hour)
		if l.stuck() {
			t.Error("stuck although it has nothing to do")
		}
		s.took.Store(int64(time.Hour))
		l.changed()
		sleep(30 * time.Minute)
		if !l.stuck() {
			t.Error("not stuck")
		}
	})
}
