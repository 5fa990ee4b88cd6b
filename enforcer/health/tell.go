package health

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
)

const (
	// lookEvery is how often the checks run for problems that depend on the time.
	lookEvery = 5 * time.Second
	// repeatEvery is how often an Event says that a problem lasts: by default the API server deletes Events after
	// an hour.
	repeatEvery = 20 * time.Minute
)

// ServeHTTP answers a readiness probe: 200 or 503, and every problem on a line of its own.
func (r *Report) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	problems := r.Problems(time.Now())
	if Ready(problems) {
		_, _ = fmt.Fprintln(w, "ok")
	} else {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, "not ready")
	}
	for _, p := range problems {
		_, _ = fmt.Fprintf(w, "%s: %s: %s\n", p.Severity, p.Reason, p.Message)
	}
}

// String is the severity's name.
func (s Severity) String() string {
	if s == NotReady {
		return "not ready"
	}
	return "warning"
}

var (
	notReadyDesc = prometheus.NewDesc("apptier_enforcer_not_ready",
		"1 for each reason why the node is not ready, that is, why its policies are not enforced as they are now; 0 for a reason that is gone.", []string{"reason"}, nil)
	warningDesc = prometheus.NewDesc("apptier_enforcer_warning",
		"1 for each thing that is wrong although policies are enforced; 0 for one that is gone.", []string{"reason"}, nil)
)

// Describe is prometheus.Collector's.
func (r *Report) Describe(to chan<- *prometheus.Desc) { to <- notReadyDesc; to <- warningDesc }

// Collect is prometheus.Collector's.
func (r *Report) Collect(to chan<- prometheus.Metric) {
	problems, seen := r.read(time.Now())
	for reason, severity := range seen {
		desc, value := warningDesc, 0.0
		if severity == NotReady {
			desc = notReadyDesc
		}
		if slices.ContainsFunc(problems, func(p Problem) bool { return p.Reason == reason }) {
			value = 1
		}
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, string(reason))
	}
}

// Teller reports changes in the log, and in Events of the Node.
type Teller struct {
	Log logr.Logger
	// Event writes an Event about the node; may be nil. Its type is corev1.EventTypeNormal or -Warning.
	Event func(kind, reason, note string)
}

// Tell reports every change of the report until the context ends.
func (r *Report) Tell(ctx context.Context, to Teller) {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	wake := r.waker()
	told := map[Reason]telling{}
	for {
		to.tell(told, r.Problems(time.Now()), time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		case <-wake:
		}
	}
}

// telling is the last report of a problem, and when an Event last repeated it.
type telling struct {
	problem Problem
	event   time.Time
}

// tell compares with what was told, and keeps it up to date.
func (t Teller) tell(told map[Reason]telling, problems []Problem, now time.Time) {
	was := len(told) > 0
	gone := make(map[Reason]telling, len(told))
	for reason, before := range told {
		gone[reason] = before
	}
	for _, p := range problems {
		before, known := told[p.Reason]
		if p.Usual {
			continue
		}
		delete(gone, p.Reason)
		if known && before.problem == p && now.Sub(before.event) < repeatEvery {
			continue
		}
		if !known || before.problem != p {
			t.Log.Info("Something is wrong on this node", "severity", p.Severity.String(), "reason", string(p.Reason), "message", p.Message)
		}
		told[p.Reason] = telling{p, now}
		t.event(corev1.EventTypeWarning, string(p.Reason), p.Severity.String()+": "+p.Message)
	}
	for reason, before := range gone {
		delete(told, reason)
		t.Log.Info("Well again", "severity", before.problem.Severity.String(), "reason", string(reason))
	}
	if was && len(told) == 0 {
		t.event(corev1.EventTypeNormal, "Enforcing", "Nothing is wrong any more: policies are enforced on this node")
	}
}

func (t Teller) event(kind, reason, note string) {
	if t.Event != nil {
		t.Event(kind, reason, "apptier's enforcer: "+note)
	}
}

// waker returns what look writes to.
func (r *Report) waker() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake == nil {
		r.wake = make(chan struct{}, 1)
	}
	return r.wake
}

// look wakes Tell.
func (r *Report) look() {
	r.mu.Lock()
	wake := r.wake
	r.mu.Unlock()
	select {
	case wake <- struct{}{}:
	default: // Tell does not run, or will look anyway
	}
}
