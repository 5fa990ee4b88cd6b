package agent

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/budget"
)

// Metrics are the agent's metrics.
type Metrics struct {
	registry    *prometheus.Registry
	duration    prometheus.Histogram
	failures    prometheus.Counter
	repairs     prometheus.Counter
	lastSuccess prometheus.Gauge
	pods        prometheus.Gauge
	groups      prometheus.Gauge
	sets        prometheus.Gauge
	elements    prometheus.Gauge
	problems    prometheus.Gauge
	staged      prometheus.Gauge
	excess      *prometheus.GaugeVec
}

// Verdicts tells how many packets were dropped, and how many connections staged policies would deny. It asks the kernel
// whenever it is asked.
type Verdicts struct {
	Kernel nft.Kernel
	Log    logr.Logger
}

var (
	deniedDesc = prometheus.NewDesc("apptier_enforcer_denied_packets_total",
		"Packets that were dropped: by the policies of the pod that connects (egress) or of the one that is connected to (ingress), "+
			"of no known connection (untracked), from or to a pod that is not known yet (unknown_pod), to or from an address that only a bridge "+
			"passes on (unroutable), from an address that is not the pod's (spoofed), or caught by a change of the rules (undecided).", []string{"reason"}, nil)
	wouldDenyDesc = prometheus.NewDesc("apptier_enforcer_would_deny_connections_total",
		"Connections that passed, and that staged policies would deny: those of the pod that connects (egress) or of the one that is connected to (ingress).",
		[]string{"direction"}, nil)
)

// Describe is prometheus.Collector's.
func (v *Verdicts) Describe(to chan<- *prometheus.Desc) { to <- deniedDesc; to <- wouldDenyDesc }

// Collect is prometheus.Collector's.
func (v *Verdicts) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	counts, err := nft.Counts(ctx, v.Kernel)
	if err != nil {
		v.Log.Error(err, "Cannot read the counters of denied packets")
		return
	}
	for reason, name := range compile.Denials() {
		to <- prometheus.MustNewConstMetric(deniedDesc, prometheus.CounterValue, float64(counts[name]), reason)
	}
	for direction, name := range compile.Audits() {
		to <- prometheus.MustNewConstMetric(wouldDenyDesc, prometheus.CounterValue, float64(counts[name]), string(direction))
	}
}

// scrapeTimeout bounds how long a scrape waits for nft.
const scrapeTimeout = 5 * time.Second

// NewMetrics returns metrics on a registry of their own.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "apptier_enforcer_sync_duration_seconds",
			Help:    "How long it took to compile the node's rules and to commit them.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		failures:    counter("sync_failures_total", "Syncs that failed; the last good rules stayed."),
		repairs:     counter("table_repairs_total", "Times that the table in the kernel was found changed by others."),
		lastSuccess: gauge("last_success_timestamp_seconds", "When the kernel last held what the cluster's objects say."),
		pods:        gauge("pods", "Pods of this node with an address of their own."),
		groups:      gauge("groups", "Groups of pods that share a chain of rules."),
		sets:        gauge("sets", "Sets and maps in the table."),
		elements:    gauge("elements", "Elements of all sets and maps."),
		problems:    gauge("policy_problems", "Parts of policies that cannot be enforced, and so allow nothing."),
		staged:      gauge("staged_policy_problems", "Parts of StagedNetworkPolicies that cannot be judged."),
		excess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apptier_enforcer_policy_excess",
			Help: fmt.Sprintf("What a refused policy asks for, by itself or with the others of its namespace, and the limit that this is above. At most %d are shown.", mostExcess),
		}, []string{"policy", "of", "item", "limit"}),
	}
	m.registry.MustRegister(m.duration, m.failures, m.repairs, m.lastSuccess, m.pods, m.groups, m.sets, m.elements,
		m.problems, m.staged, m.excess, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Describe tells which metrics there are, those of connections among them.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	m.registry.Describe(to)
	describeConnections(to)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "apptier_enforcer_" + name, Help: help})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "apptier_enforcer_" + name, Help: help})
}

func (m *Metrics) synced(took time.Duration, err error) {
	m.duration.Observe(took.Seconds())
	if err != nil {
		m.failures.Inc()
		return
	}
	m.lastSuccess.SetToCurrentTime()
}

// mostExcess limits the series of a metric that any author of policies can add to.
const mostExcess = 100

func (m *Metrics) describe(counts compile.Counts, table nft.Table, problems []compile.Problem) {
	m.pods.Set(float64(counts.Pods))
	m.groups.Set(float64(counts.Groups))
	m.sets.Set(float64(len(table.Sets)))
	m.elements.Set(float64(table.Elements()))
	staged := 0
	for _, p := range problems {
		if p.Staged() {
			staged++
		}
	}
	m.problems.Set(float64(len(problems) - staged))
	m.staged.Set(float64(staged))
	m.excess.Reset()
	shown := 0
	for _, p := range problems {
		var excess *budget.ExceededError
		if !errors.As(p.Err, &excess) {
			continue
		}
		of := map[bool]string{true: "namespace", false: "policy"}[excess.Namespace]
		for _, e := range excess.Excess {
			if shown++; shown <= mostExcess {
				m.excess.WithLabelValues(p.Policy, of, e.Item, strconv.Itoa(e.Limit)).Set(float64(e.Count))
			}
		}
	}
}
