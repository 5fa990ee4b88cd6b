package nri

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the metrics of the plugin.
type Metrics struct {
	connected prometheus.Gauge
	announced *prometheus.CounterVec
	waited    prometheus.Histogram
}

// Results of the announcement of a pod.
const (
	resultInTime = "in_time"
	resultFailed = "failed"
)

// NewMetrics returns metrics that are not registered yet.
func NewMetrics() *Metrics {
	m := &Metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "apptier_enforcer_nri_connected",
			Help: "1 while the container runtime announces pods before they start, otherwise 0.",
		}),
		announced: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apptier_enforcer_announced_pods_total",
			Help: "Pods that the container runtime announced: those that started with their rules in the kernel (in_time) and those that " +
				"started closed (failed).",
		}, []string{"result"}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "apptier_enforcer_announced_pod_wait_seconds",
			Help:    "How long the start of an announced pod was held up.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 11), // to 2 s
		}),
	}
	for _, result := range []string{resultInTime, resultFailed} {
		m.announced.WithLabelValues(result)
	}
	return m
}

// Collectors are all metrics.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.connected, m.announced, m.waited}
}
