// Package health says whether a node's policies are enforced now, and if not, why. Code that detects a problem sets a
// reason and clears it. The kubelet's probes, Prometheus, the log and the Node's Events report all reasons.
package health

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Reason names one thing that may be wrong, in the form of a condition's reason. Each has one meaning and
// one severity.
type Reason string

// Severity is the effect of a problem.
type Severity int

const (
	// Warning is worth knowing, but the node is ready: it enforces the policies.
	Warning Severity = iota
	// NotReady means that something passes or is dropped on this node against the policies, or may soon, so
	// that the node must not count as enforcing.
	NotReady
)

// Problem is something that is wrong at a time.
type Problem struct {
	Reason   Reason
	Severity Severity
	// Message says what is wrong and what to do, and stays the same while the problem does. It must not name
	// secrets: the node's Events show it.
	Message string
	// Usual says that it happens at every start, so it is neither logged nor an Event.
	Usual bool
}

// Report holds what is wrong with enforcement on one node. Its methods may be called by several goroutines;
// the zero value is ready to use.
type Report struct {
	mu       sync.Mutex
	problems map[Reason]Problem
	checks   []func(now time.Time) []Problem
	wake     chan struct{}
	// seen are all reasons so far, so that a metric goes to 0 and does not vanish.
	seen map[Reason]Severity
}

// NotReady makes the node not ready for a reason, until Clear.
func (r *Report) NotReady(reason Reason, message string) {
	r.set(Problem{Reason: reason, Severity: NotReady, Message: message})
}

// Warn reports a reason that leaves the node ready, until Clear.
func (r *Report) Warn(reason Reason, message string) {
	r.set(Problem{Reason: reason, Severity: Warning, Message: message})
}

// Clear removes a reason of NotReady or Warn; without such a reason it does nothing.
func (r *Report) Clear(reason Reason) {
	r.mu.Lock()
	delete(r.problems, reason)
	r.mu.Unlock()
	r.look()
}

func (r *Report) set(p Problem) {
	r.mu.Lock()
	if r.problems == nil {
		r.problems = map[Reason]Problem{}
	}
	r.problems[p.Reason] = p
	r.mu.Unlock()
	r.look()
}

// Check adds a function that returns problems on demand, for problems that depend on the time. It runs with the
// report locked, so it must not call the report, and must return quickly.
func (r *Report) Check(check func(now time.Time) []Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = append(r.checks, check)
}

// Problems returns what is wrong: first what keeps the node from being ready, each by reason.
func (r *Report) Problems(now time.Time) []Problem {
	problems, _ := r.read(now)
	return problems
}

// Ready says whether no problem makes the node not ready.
func Ready(problems []Problem) bool {
	return !slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == NotReady })
}

// read returns the present problems, and all reasons so far.
func (r *Report) read(now time.Time) (problems []Problem, seen map[Reason]Severity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.problems {
		problems = append(problems, p)
	}
	for _, check := range r.checks {
		problems = append(problems, check(now)...)
	}
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Reason, b.Reason))
	})
	if r.seen == nil {
		r.seen = map[Reason]Severity{}
	}
	for _, p := range problems {
		r.seen[p.Reason] = p.Severity
	}
	seen = make(map[Reason]Severity, len(r.seen))
	for reason, severity := range r.seen {
		seen[reason] = severity
	}
	return problems, seen
}
