package main

import (
	"slices"
	"sync"
)

// Results is all that was measured, times in milliseconds.
type Results struct {
	Machine, Enforcer, Kubernetes string
	LoadAfter                     string
	Clusters                      []*Cluster
	Traffic                       []*Traffic
	// Audit is nil where it was not measured.
	Audit *Audit
}

// Cluster is what was measured of the enforcer in a cluster.
type Cluster struct {
	Size   size
	Starts []Start
	// Events are by kind.
	Events map[string][]Event
	// Writes is how many writes of objects made the events; CPU is the agent's for them, and Sync the
	// duration of one sync on average.
	Writes    int
	CPU, Sync float64
	// Probes are the packets of the events that had to pass.
	Probes tally
	Steady *Steady
	Churn  *Churn
	// Peak is the most memory that the agent ever had, in MiB.
	Peak float64

	lock sync.Mutex // guards what is measured at once
}

// Start is a start of the agent: until it says that it is ready, until a packet is judged, its processor
// time, the most memory in MiB, how much of the time went into syncs, and how long the API server takes to
// send what the agent lists.
type Start struct{ Ready, Judged, CPU, Peak, Sync, Listed float64 }

// Event is how long after the call began it returned, a watch told of it, and a packet was judged by it.
type Event struct{ Written, Seen, Judged float64 }

// Steady is what became of connections that stay allowed while policies change.
type Steady struct {
	Changes, Syncs    int
	Denied            int // packets that the rules dropped meanwhile
	Seconds           float64
	Connections       tally // packets, each of which is a new connection
	Datagrams, Stream tally // of one connection; the stream's lost ones were sent again
}

// Churn is what pods that come and go met.
type Churn struct {
	Seconds              float64
	Pods, Syncs          int
	Comes, Goes, Changes []Event
	Before, After, Peak  float64 // MiB
	CPU                  float64 // milliseconds a second
}

// Traffic is what packets cost under some rules, by round.
type Traffic struct {
	Rules string
	// Connections are new ones a second over TCP; Throughput is in Gbit/s over one TCP connection;
	// Datagrams are those that arrive a second.
	Connections, Throughput, Datagrams []float64
	// ConnectionCPU is the processor time of one connection in microseconds, for both ends and the
	// kernel's work between them; the others are those of a GiB, in milliseconds, and of a datagram.
	ConnectionCPU, ThroughputCPU, DatagramCPU []float64
}

// all are the events of every kind.
func (c *Churn) all() []Event { return slices.Concat(c.Comes, c.Goes, c.Changes) }
