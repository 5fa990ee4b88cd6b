package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/apptier/apptier/enforcer/health"
)

// reasons are why a node is not ready.
func reasons(problems []health.Problem) string {
	var out []string
	for _, p := range problems {
		out = append(out, string(p.Reason))
	}
	return strings.Join(out, " ")
}

// Ready means now: from the first success, until something that has changed waits for a minute.
func TestReadyWhileChangesReachTheKernel(t *testing.T) {
	s := &script{failures: 3}
	runLoop(t, s, func(l *loop) {
		expect := func(when, want string) {
			t.Helper()
			if got := reasons(l.progress.problems(time.Now())); got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		expect("before the first success", "NotSynced")
		if p := l.progress.problems(time.Now()); !p[0].Usual {
			t.Errorf("a start is told of: %v", p)
		}
		sleep(10 * time.Second)
		expect("after it", "")
		sleep(time.Hour)
		expect("with nothing to do", "")
		s.fail(1000)
		l.changed()
		sleep(50 * time.Second)
		expect("after failures of less than a minute", "")
		l.changed()
		sleep(11 * time.Second)
		expect("after failures of more than a minute", "ChangesWait")
		s.fail(0)
		sleep(lastRetry + time.Second)
		expect("after a success", "")
		s.took.Store(int64(90 * time.Second))
		l.changed()
		sleep(61 * time.Second)
		expect("while a sync hangs", "ChangesWait")
		l.changed()
		sleep(30 * time.Second)
		expect("while the next one takes in what came during it", "")
		sleep(61 * time.Second)
		expect("when that hangs, too", "ChangesWait")
	})
}

// The message says what the kernel refuses, and stays the same while it does: each change is an Event.
func TestWhyChangesWait(t *testing.T) {
	s := &script{failures: 1000}
	runLoop(t, s, func(l *loop) {
		sleep(2 * time.Minute)
		before := l.progress.problems(time.Now())
		if before[0].Usual {
			t.Error("nobody is told of a start that fails")
		}
		sleep(time.Minute)
		if diff := cmp.Diff(before, l.progress.problems(time.Now())); diff != "" {
			t.Error(diff)
		}
		if !strings.HasSuffix(before[0].Message, ": told to fail") {
			t.Error(before[0].Message)
		}
	})
}

// A first sync that hangs is as bad as a later one.
func TestALoopWhoseFirstSyncHangsIsNotAlive(t *testing.T) {
	s := &script{}
	s.took.Store(int64(time.Hour))
	runLoop(t, s, func(l *loop) {
		sleep(30 * time.Minute)
		if !l.stuck() {
			t.Error("not stuck")
		}
	})
}

// Who is not told of changes does not know what to enforce.
func TestNotReadyWhileTheClusterIsNotWatched(t *testing.T) {
	var c contact
	at := time.Now()
	expect := func(when, want string) {
		t.Helper()
		if got := reasons(c.problems(at)); got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	c.ask("Pod", at)
	c.ask("Node", at)
	c.answered("Pod")
	at = at.Add(59 * time.Second)
	c.ask("Node", at)
	expect("within a minute", "")
	at = at.Add(time.Second)
	expect("after a minute", "NotWatched")
	c.answered("Node")
	expect("when both are watched", "")
	at = at.Add(time.Hour)
	expect("an hour later", "")
	c.ask("Pod", at)
	expect("when a watch is asked for again", "")
}

// An agent that has a report of others is not ready for their reasons.
func TestReasonsOfOthers(t *testing.T) {
	var report health.Report
	if _, err := New(Options{Node: "n", Client: fake.NewClientset(), Kernel: nil, Health: &report, Log: logr.Discard()}); err != nil {
		t.Fatal(err)
	}
	report.NotReady("Other", "of others")
	if got := reasons(report.Problems(time.Now())); got != "NotSynced Other" {
		t.Error(got)
	}
}
