package reach

import (
	"fmt"
	"strings"
	"text/tabwriter"

	corev1 "k8s.io/api/core/v1"
)

// Probe is where a flow goes: a column of a [Matrix].
type Probe struct {
	Destination Endpoint
	// Protocol is TCP, UDP or SCTP; empty means TCP.
	Protocol corev1.Protocol
	Port     int32
}

// String returns the probe as text, such as "shop/db-0:5432" or "shop/dns-0:53/UDP".
func (p Probe) String() string {
	text := fmt.Sprintf("%s:%d", p.Destination, p.Port)
	if protocol := orTCP(p.Protocol); protocol != corev1.ProtocolTCP {
		text += "/" + string(protocol)
	}
	return text
}

// Matrix holds the results of sending every probe from every source.
type Matrix struct {
	Sources []Endpoint
	Probes  []Probe
	// Results has a row for each source and a column for each probe.
	Results [][]Result
}

// Matrix evaluates every probe from every source.
func (e *Evaluator) Matrix(sources []Endpoint, probes []Probe) Matrix {
	m := Matrix{Sources: sources, Probes: probes}
	for _, source := range sources {
		row := make([]Result, 0, len(probes))
		for _, p := range probes {
			flow := Flow{Source: source, Destination: p.Destination, Protocol: p.Protocol, Port: p.Port}
			row = append(row, e.Allowed(flow))
		}
		m.Results = append(m.Results, row)
	}
	return m
}

// String returns the verdicts as a table: sources down, probes across.
func (m Matrix) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "from \\ to")
	for _, p := range m.Probes {
		fmt.Fprintf(w, "\t%s", p)
	}
	fmt.Fprintln(w)
	for i, source := range m.Sources {
		fmt.Fprint(w, source)
		for _, result := range m.Results[i] {
			fmt.Fprintf(w, "\t%s", result.Verdict)
		}
		fmt.Fprintln(w)
	}
	// A strings.Builder takes everything.
	_ = w.Flush()
	return b.String()
}
