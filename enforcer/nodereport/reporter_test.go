package nodereport

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/policy/programmed"
)

// node is a reporter in a bubble of time, with what it has written.
type node struct {
	*Reporter
	mu       sync.Mutex
	uid      types.UID
	problems []health.Problem
	err      error
	tries    int
	written  []Report
}

func start(t *testing.T) *node {
	n := &node{uid: "uid-1"}
	n.Reporter = &Reporter{
		Mode: v1alpha1.EnforcerEnforces, Log: logr.Discard(), Node: "n1",
		Owner:    func() types.UID { defer n.locked()(); return n.uid },
		Problems: func() []health.Problem { defer n.locked()(); return n.problems },
		Reported: func(programmed.Versions) {},
		Write: func(_ context.Context, r Report) error {
			defer n.locked()()
			if n.tries++; n.err != nil {
				return n.err
			}
			n.written = append(n.written, r)
			return nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { n.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return n
}

func (n *node) locked() (unlock func()) {
	n.mu.Lock()
	return n.mu.Unlock
}

func (n *node) becomes(uid types.UID) { defer n.locked()(); n.uid = uid }

func (n *node) has(problems ...health.Problem) { defer n.locked()(); n.problems = problems }

func (n *node) fails(err error) { defer n.locked()(); n.err = err }

func commit(version programmed.Version, owed programmed.Debt) Commit {
	return Commit{Versions: programmed.Versions{NetworkPolicies: version}, Owed: owed}
}

// versions are those of the reports that were written.
func (n *node) versions() []string {
	defer n.locked()()
	var out []string
	for _, r := range n.written {
		out = append(out, r.Status.NetworkPolicies)
	}
	return out
}

func TestWhatIsWritten(t *testing.T) {
	broken := health.Problem{Reason: "Broken", Severity: health.NotReady}
	for name, test := range map[string]struct {
		happens func(*node)
		want    []string
	}{
		"nothing before the first sync": {func(*node) { pass(time.Minute) }, nil},
		"nothing while the node has no object": {func(n *node) {
			n.becomes("")
			n.Committed(commit(5, programmed.Now))
			pass(time.Minute)
		}, nil},
		"the first sync, owed or not": {func(n *node) { n.Committed(commit(5, programmed.Nothing)) }, []string{"5"}},
		"nothing for events that concern others": {func(n *node) {
			n.Committed(commit(5, programmed.Nothing))
			for v := range programmed.Version(100) {
				pass(time.Second)
				n.Committed(commit(6+v, programmed.Nothing))
			}
		}, []string{"5"}},
		"an event that concerns it, and what others came with it": {func(n *node) {
			n.Committed(commit(5, programmed.Nothing))
			pass(time.Minute)
			n.Committed(commit(7, programmed.Now))
			n.Committed(commit(8, programmed.Nothing))
		}, []string{"5", "8"}},
		"what may have been missed, some minutes later": {func(n *node) {
			n.Committed(commit(5, programmed.Nothing))
			pass(time.Minute)
			n.Committed(commit(7, programmed.Later))
			n.Committed(commit(8, programmed.Nothing))
			pass(later + lookEvery)
		}, []string{"5", "8"}},
		"problems that stay, and when they are gone": {func(n *node) {
			n.Committed(commit(5, programmed.Nothing))
			pass(time.Minute)
			n.has(broken)
			pass(time.Minute)
			n.has()
			pass(time.Minute)
		}, []string{"5", "5", "5"}},
		"no problem that is gone at the next look": {func(n *node) {
			n.Committed(commit(5, programmed.Nothing))
			pass(time.Minute)
			n.has(broken)
			pass(lookEvery)
			n.has()
			pass(time.Minute)
		}, []string{"5"}},
		"no warnings": {func(n *node) {
			n.Committed(commit(5, programmed.Nothing))
			n.has(health.Problem{Reason: "Odd", Severity: health.Warning}, health.Problem{Reason: "Starting", Severity: health.NotReady, Usual: true})
			pass(time.Minute)
		}, []string{"5"}},
		"an object that came again": {func(n *node) {
			n.Committed(commit(5, programmed.Nothing))
			pass(time.Minute)
			n.becomes("uid-2")
			n.Committed(commit(5, programmed.Nothing))
		}, []string{"5", "5"}},
		"a server": {func(n *node) {
			n.Committed(commit(5, programmed.Nothing))
			pass(time.Minute)
			n.Serve(v1alpha1.NodeServer{Address: "192.0.2.1:9810"})
		}, []string{"5", "5"}},
		"again after long, because it may have been deleted": {func(n *node) {
			n.Committed(commit(5, programmed.Nothing))
			pass(again + time.Minute)
		}, []string{"5", "5"}},
		"what failed, with what came meanwhile": {func(n *node) {
			n.fails(errors.New("told to fail"))
			n.Committed(commit(5, programmed.Now))
			pass(time.Minute)
			n.Committed(commit(6, programmed.Nothing))
			n.fails(nil)
			pass(lastRetry)
		}, []string{"6"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t)
				test.happens(n)
				pass(spread + apart + spread)
				if diff := cmp.Diff(test.want, n.versions()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestABurstIsFewReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t)
		for v := range programmed.Version(100) {
			n.Committed(commit(10+v, programmed.Now))
			pass(10 * time.Millisecond)
		}
		pass(10 * time.Second)
		if got := n.versions(); len(got) > 2 || got[len(got)-1] != "109" {
			t.Errorf("wrote %v", got)
		}
	})
}

func TestABrokenServerIsAskedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t)
		n.fails(errors.New("told to fail"))
		n.Committed(commit(5, programmed.Now))
		pass(time.Hour)
		defer n.locked()()
		if n.tries < 5 || n.tries > 30 {
			t.Errorf("%d tries in an hour", n.tries)
		}
	})
}

func TestAReportHasRoomForSomeProblems(t *testing.T) {
	var s steady
	var problems []health.Problem
	for i := range 40 {
		problems = append(problems, health.Problem{Reason: health.Reason(rune('A' + i)), Severity: health.NotReady})
	}
	s.see(problems)
	s.see(problems)
	if len(s.reasons) != mostProblems {
		t.Errorf("%d reasons", len(s.reasons))
	}
}

// pass lets time pass, and what happens in it end.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
