package health_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/apptier/apptier/enforcer/health"
)

// A node is ready unless a reason of that severity is set; a probe reads all of them.
func TestReadyUntilAReasonSaysOtherwise(t *testing.T) {
	var r health.Report
	for _, step := range []struct {
		name string
		do   func()
		code int
		body string
	}{
		{"at first", func() {}, http.StatusOK, "ok\n"},
		{"a warning", func() { r.Warn("Odd", "odd, but it works") }, http.StatusOK, "ok\nwarning: Odd: odd, but it works\n"},
		{"a reason", func() { r.NotReady("Broken", "mend it") }, http.StatusServiceUnavailable,
			"not ready\nnot ready: Broken: mend it\nwarning: Odd: odd, but it works\n"},
		{"another", func() { r.NotReady("Amiss", "find it") }, http.StatusServiceUnavailable,
			"not ready\nnot ready: Amiss: find it\nnot ready: Broken: mend it\nwarning: Odd: odd, but it works\n"},
		{"one is cleared", func() { r.Clear("Broken") }, http.StatusServiceUnavailable, "not ready\nnot ready: Amiss: find it\nwarning: Odd: odd, but it works\n"},
		{"all are cleared", func() { r.Clear("Amiss"); r.Clear("Odd"); r.Clear("Never") }, http.StatusOK, "ok\n"},
	} {
		step.do()
		w := httptest.NewRecorder()
		r.ServeHTTP(w, nil)
		if w.Code != step.code {
			t.Errorf("%s: %d, want %d", step.name, w.Code, step.code)
		}
		if diff := cmp.Diff(step.body, w.Body.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// A metric says 0 of a reason that is gone, so that an alert ends.
func TestAMetricForEveryReason(t *testing.T) {
	var r health.Report
	registry := prometheus.NewRegistry()
	registry.MustRegister(&r)
	expect := func(want ...string) {
		t.Helper()
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		var got []string
		for line := range strings.Lines(w.Body.String()) {
			if !strings.HasPrefix(line, "#") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	expect()
	r.NotReady("Broken", "mend it")
	r.Warn("Odd", "odd")
	expect(`apptier_enforcer_not_ready{reason="Broken"} 1`, `apptier_enforcer_warning{reason="Odd"} 1`)
	r.Clear("Broken")
	expect(`apptier_enforcer_not_ready{reason="Broken"} 0`, `apptier_enforcer_warning{reason="Odd"} 1`)
}

// Each change is told once and at once, what lasts is repeated before the API server forgets it, and what
// comes with time is told when it comes.
func TestChangesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var r health.Report
		r.Check(func(now time.Time) []health.Problem {
			if age := now.Sub(began); age < time.Minute || age > 2*time.Minute {
				return nil
			}
			return []health.Problem{{Reason: "Late", Severity: health.NotReady, Message: "too late"}}
		})
		var told []string
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Tell(ctx, health.Teller{Log: logr.Discard(), Event: func(kind, reason, note string) {
				told = append(told, time.Since(began).String()+" "+kind+" "+reason+" "+note)
			}})
		}()
		wait := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		wait(time.Second)
		r.Warn("Odd", "odd")
		wait(time.Second)
		r.Warn("Odd", "odd")
		wait(time.Second)
		r.Warn("Odd", "odder")
		wait(time.Second)
		r.Clear("Odd")
		wait(30 * time.Minute)
		r.NotReady("Broken", "mend it")
		wait(30 * time.Minute)
		cancel()
		<-done
		want := []string{
			"1s Warning Odd apptier's enforcer: warning: odd",
			"3s Warning Odd apptier's enforcer: warning: odder",
			"4s Normal Enforcing " + well,
			"1m0s Warning Late apptier's enforcer: not ready: too late",
			"2m5s Normal Enforcing " + well,
			"30m4s Warning Broken apptier's enforcer: not ready: mend it",
			"50m5s Warning Broken apptier's enforcer: not ready: mend it",
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

const well = "apptier's enforcer: Nothing is wrong any more: policies are enforced on this node"
