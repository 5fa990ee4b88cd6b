package agent

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
	"github.com/apptier/apptier/enforcer/health"
)

const (
	// readOften is how often the kernel is read while somebody looks, and readSeldom how often else. In between it is read
	// a little before it forgets an element, since what that counted last is gone with it.
	readOften  = time.Second
	readSeldom = 5 * time.Second
	// readEarly is how long before the end of an element the kernel is read.
	readEarly = 200 * time.Millisecond
	// looking is how long somebody looks who has asked.
	looking = time.Minute
	// readTimeout bounds one reading, and readShare what all take: one part in so many of the time, up to readLate
	// between two. What the kernel kept is lost after compile.RecordTimeout.
	readTimeout = 10 * time.Second
	readShare   = 20
	readLate    = 20 * time.Second
	// readPatience is how long the kernel may be unread before the node has a warning.
	readPatience = 30 * time.Second
	// askPatience is how long who asks waits for a reading.
	askPatience = 2 * time.Second
)

// notRead: what the kernel recorded of connections is not known. Filtering does not depend on it.
const notRead health.Reason = "ConnectionsNotRead"

// Reader reads what a kernel recorded of connections.
type Reader interface {
	Read(ctx context.Context) (flows.Reading, error)
}

var (
	connectionsDesc = prometheus.NewDesc("apptier_enforcer_connections_total",
		"How often connections of this node's pods were judged, by the side whose policies decided: for the verdict denied the packets that were dropped, "+
			"else new connections. The direction is empty if no policy decided. Above a number of sets of labels "+
			"of a namespace, the rest of it has no tier; above a number of all, the namespace of the rest is "+flows.Others+".",
		[]string{"namespace", "apptier", "tier", "direction", "verdict"}, nil)
	readFailuresDesc = prometheus.NewDesc("apptier_enforcer_connection_read_failures_total",
		"Times that what the kernel recorded of connections could not be read. Filtering does not depend on it.", nil, nil)
)

// recorder reads the kernel, and knows the connections by name.
type recorder struct {
	node      string
	reader    Reader
	flows     *flows.Flows
	logDenied bool
	log       logr.Logger
	wake      chan struct{}

	mu      sync.Mutex
	asked   time.Time // when somebody asked last
	begun   time.Time // when the last reading that succeeded began
	done    chan struct{}
	took    time.Duration // what that took
	since   time.Time     // when the kernel was read last, or this began; zero before
	failure string        // of the last reading; empty if it has succeeded
	failed  uint64
}

func newRecorder(o Options) *recorder {
	now := time.Now()
	return &recorder{
		node: o.Node, reader: o.Reader, logDenied: o.LogDenied, log: o.Log, wake: make(chan struct{}, 1),
		flows: flows.New(flows.Options{Node: o.Node, Retention: o.Retention, Log: o.LogDenied}, now),
		done:  make(chan struct{}),
	}
}

// run reads until the context ends.
func (r *recorder) run(ctx context.Context) {
	r.mu.Lock()
	r.since = time.Now()
	r.mu.Unlock()
	for ctx.Err() == nil {
		pause := r.read(ctx)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// read reads the kernel once, and returns how long to wait.
func (r *recorder) read(ctx context.Context) time.Duration {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	reading, err := r.reader.Read(limited)
	now := time.Now()
	if err == nil {
		r.flows.Read(reading, now)
		if r.logDenied {
			r.write(now)
		}
	} else {
		r.flows.Follow()
	}
	if ctx.Err() == nil {
		r.finish(began, now, err)
	}
	return r.pause(now, time.Since(began), reading.Seen)
}

// finish notes how a reading went, and tells those that wait for it.
func (r *recorder) finish(began, now time.Time, err error) {
	if r.note(began, now, err) {
		r.log.Error(err, "Cannot read what the kernel recorded of connections; trying again, and filtering goes on")
	}
}

// note says whether it is the first failure in a row.
func (r *recorder) note(began, now time.Time, err error) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed++
		first = r.failure == ""
		r.failure = err.Error()
	} else {
		r.begun, r.took, r.since, r.failure = began, now.Sub(began), now, ""
	}
	close(r.done)
	r.done = make(chan struct{})
	return first
}

// pause is how long to wait after a reading.
func (r *recorder) pause(now time.Time, took time.Duration, seen []flows.Seen) time.Duration {
	r.mu.Lock()
	often := r.logDenied || !r.asked.IsZero() && now.Sub(r.asked) < looking
	r.mu.Unlock()
	pause := readSeldom
	if often {
		pause = readOften
	}
	for i := range seen {
		if left := compile.RecordTimeout - seen[i].Age - readEarly; left < pause {
			pause = max(left, readOften)
		}
	}
	return min(max(pause, readShare*took), readLate)
}

// ask notes that somebody looks, and waits a little while for the kernel to be read if that is a second ago, or longer
// where it takes long.
func (r *recorder) ask(ctx context.Context) {
	now := time.Now()
	r.mu.Lock()
	r.asked = now
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	for {
		r.mu.Lock()
		fresh, done := now.Sub(r.begun) < max(readOften, readShare*r.took), r.done
		r.mu.Unlock()
		if fresh {
			return
		}
		select {
		case r.wake <- struct{}{}:
		default:
		}
		select {
		case <-done:
			if r.unread() {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// unread says whether the last reading failed.
func (r *recorder) unread() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure != ""
}

// write writes the lines that are due.
func (r *recorder) write(now time.Time) {
	for _, c := range r.flows.Due(now) {
		var because []string
		for _, p := range c.Because {
			because = append(because, p.Kind+"/"+p.Name)
		}
		r.log.Info("Connection", "verdict", c.Verdict, "direction", c.Direction, "reason", c.Reason, "count", c.Count,
			"first", c.First.UTC().Format(time.RFC3339Nano), "last", c.Last.UTC().Format(time.RFC3339Nano),
			"source", said(c.Source), "sourceAddress", c.Source.Address, "sourceWorkload", c.Source.Workload, "sourceTier", tierOf(c.Source),
			"destination", said(c.Destination), "destinationAddress", c.Destination.Address,
			"destinationWorkload", c.Destination.Workload, "destinationTier", tierOf(c.Destination),
			"protocol", c.Protocol, "port", c.Port, "because", strings.Join(because, ","), "name", c.Name)
	}
}

// said is "namespace/pod" of an end that is a pod.
func said(e connections.End) string {
	if e.Pod == "" {
		return ""
	}
	return e.Namespace + "/" + e.Pod
}

// tierOf is "apptier/tier".
func tierOf(e connections.End) string {
	if e.Tier == "" {
		return ""
	}
	return e.AppTier + "/" + e.Tier
}

// problems is a health.Report's check.
func (r *recorder) problems(now time.Time) []health.Problem {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() || now.Sub(r.since) < readPatience {
		return nil
	}
	because := "it does not answer"
	if r.failure != "" {
		because = r.failure
	}
	return []health.Problem{{
		Reason: notRead, Severity: health.Warning,
		Message: fmt.Sprintf("denied connections since %s are counted but not known by name, and packets are filtered all the same: %s",
			r.since.UTC().Format(time.RFC3339), because),
	}}
}

// Describe is prometheus.Collector's.
func (r *recorder) Describe(to chan<- *prometheus.Desc) { describeConnections(to) }

func describeConnections(to chan<- *prometheus.Desc) { to <- connectionsDesc; to <- readFailuresDesc }

// Collect is prometheus.Collector's.
func (r *recorder) Collect(to chan<- prometheus.Metric) {
	for _, t := range r.flows.Totals() {
		verdict := map[connections.Verdict]string{connections.WouldDeny: "would_deny"}[t.Verdict]
		if verdict == "" {
			verdict = strings.ToLower(string(t.Verdict))
		}
		to <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.CounterValue, float64(t.Count),
			t.Namespace, t.AppTier, t.Tier, strings.ToLower(string(t.Direction)), verdict)
	}
	r.mu.Lock()
	failed := r.failed
	r.mu.Unlock()
	to <- prometheus.MustNewConstMetric(readFailuresDesc, prometheus.CounterValue, float64(failed))
}

// Connections returns the connections with an end in a namespace that this node saw since a time; see flows.Flows.List.
// While somebody asks, the kernel is read every second.
func (a *Agent) Connections(ctx context.Context, namespace string, since time.Time) connections.ConnectionList {
	r := a.recorder
	if r == nil {
		return connections.ConnectionList{Missing: []connections.Missing{{Node: a.options.Node, Reason: "its kernel records no connections"}}}
	}
	r.ask(ctx)
	list := r.flows.List(namespace, since, time.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != "" || r.begun.IsZero() {
		reason := fmt.Sprintf("the kernel could not be read since %s: %s", r.since.UTC().Format(time.RFC3339), r.failure)
		if r.failure == "" {
			reason = "the kernel was not read yet"
		}
		list.Missing = append(list.Missing, connections.Missing{Node: a.options.Node, Reason: reason})
	}
	return list
}
