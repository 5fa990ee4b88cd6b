package wiring

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/nft"
)

// scrapeTimeout bounds how long a scrape waits for the kernel.
const scrapeTimeout = 5 * time.Second

var deniedDesc = prometheus.NewDesc("apptier_enforcer_bridge_denied_frames_total",
	"Frames that were dropped on bridges: from a pod's port and not from its addresses, or from any other port and from an address of a pod (spoofed), "+
		"or from a port that is bound to no pod to a pod (unbound).", []string{"reason"}, nil)

// Describe is prometheus.Collector's.
func (n *Node) Describe(to chan<- *prometheus.Desc) { to <- deniedDesc }

// Collect is prometheus.Collector's: it asks the kernel.
func (n *Node) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	counts, err := nft.Counts(ctx, n.Kernel)
	if err != nil {
		n.Log.Error(err, "Cannot read the counters of denied frames")
		return
	}
	for reason, name := range bind.Denials() {
		to <- prometheus.MustNewConstMetric(deniedDesc, prometheus.CounterValue, float64(counts[name]), reason)
	}
}
