package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nodereport"
	"github.com/apptier/apptier/enforcer/serving"
	"github.com/apptier/apptier/policy/budget"
)

// Options is what an agent needs.
type Options struct {
	// Node is the name of the node that the agent runs on, as the API server knows it.
	Node   string
	Client kubernetes.Interface
	Kernel nft.Kernel
	// Staged shows policies that are not enforced; nil if there are none.
	Staged StagedPolicies
	// Servers remembers the API servers' own addresses; may be nil.
	Servers *Servers
	// MetricsAddress and HealthAddress are "host:port"; empty or "0" turns the server off. If one is in use, the
	// node's health has a warning, and the agent retries.
	MetricsAddress string
	HealthAddress  string
	// Secure protects the metrics; nil for anybody who can reach the address.
	Secure *Secure
	// Limits are the most that policies may ask for; budget.Defaults if none is set.
	Limits budget.Limits
	// Health collects and reports what is wrong on the node; nil for one of the agent's own. Others may set
	// further reasons.
	Health *health.Report
	// Hung is called when the agent hangs, and only a new process helps; may be nil.
	Hung func()
	// Wiring manages the links of the node's pods; if nil, pods can send with any source address.
	Wiring Wiring
	// Host checks the kernel, and the rules of other programs in it; may be nil.
	Host Host
	// Listed is called once everything has been listed; may be nil.
	Listed func()
	// Mark is the bits of connections' ct marks that the enforcer stamps; compile.DefaultMark if it is 0.
	Mark compile.Mark
	// Observe has nothing dropped, and no connection stamped: see compile.Compiler's.
	Observe bool
	// RecordAllowed has new connections recorded that pass, too.
	RecordAllowed bool
	// Connections are the node's connections; nil if there are none to stamp, as with a fake kernel.
	Connections Connections
	// Reports writes what others hear of the node; nil if nobody does.
	Reports *nodereport.Reporter
	// Reader reads what the kernel recorded of connections; nil if it records nothing.
	Reader Reader
	// Retention is how long connections are remembered; flows.Retention if it is 0.
	Retention time.Duration
	// LogDenied says that denied connections, and those that would be, are logged, each once a minute.
	LogDenied bool
	// Collectors are served with the agent's own metrics.
	Collectors []prometheus.Collector
	// Answers tells the manager which connections were seen; nil if nobody is told.
	Answers *serving.Connections
	Log     logr.Logger
}

// Agent enforces on one node.
type Agent struct {
	options Options
	syncer  *Syncer
	metrics serving.Server
	loop    *loop
	store   *store
	// recorder is nil if the kernel records nothing.
	recorder *recorder
}

// New returns an agent that does nothing yet.
func New(o Options) (*Agent, error) {
	if o.Node == "" {
		return nil, errors.New("the name of this node is missing: set --node-name or the environment variable NODE_NAME")
	}
	a := &Agent{options: o}
	a.syncer = &Syncer{
		Node: o.Node, Kernel: o.Kernel, Mark: o.Mark, Connections: o.Connections,
		Metrics: NewMetrics(), Log: o.Log, Limits: o.Limits, Observe: o.Observe, RecordAllowed: o.RecordAllowed,
	}
	a.syncer.Metrics.registry.MustRegister(&Verdicts{Kernel: o.Kernel, Log: o.Log})
	if o.Health == nil {
		a.options.Health = &health.Report{}
	}
	for _, c := range append(slices.Clone(o.Collectors), prometheus.Collector(a.options.Health)) {
		if err := a.syncer.Metrics.registry.Register(c); err != nil {
			return nil, fmt.Errorf("adding metrics: %w", err)
		}
	}
	a.metrics = serving.Server{
		Flag: "metrics-bind-address", Address: o.MetricsAddress, Taken: "MetricsAddressTaken",
		Handler: promhttp.HandlerFor(a.syncer.Metrics.registry, promhttp.HandlerOpts{}),
	}
	if o.Secure != nil {
		handler, err := o.Secure.Filter(a.metrics.Handler)
		if err != nil {
			return nil, fmt.Errorf("protecting the metrics: %w", err)
		}
		a.metrics.Handler, a.metrics.TLS = handler, o.Secure.TLS
	}
	a.loop = newLoop(a.syncer, o.Log)
	a.options.Health.Check(a.loop.progress.problems)
	if o.Wiring != nil {
		a.syncer.Wiring = o.Wiring
		a.options.Health.Check(o.Wiring.Problems)
	}
	if o.Host != nil {
		a.options.Health.Check(o.Host.Problems)
	}
	a.store = newStore(o.Node, a.loop.changed, time.Now)
	a.syncer.Feed = a.store.apply
	a.options.Health.Check(a.store.problems)
	a.options.Health.Check(a.syncer.rangeProblems)
	a.syncer.stamping().free = a.loop.changed
	a.options.Health.Check(a.syncer.stamps.problems)
	a.loop.expire = a.store.expire
	if o.Reports != nil {
		a.report(o.Reports)
		if o.Answers != nil {
			o.Reports.Serve(v1alpha1.NodeServer{Address: o.Answers.Address(), Fingerprint: o.Answers.Fingerprint()})
		}
	}
	if o.Reader != nil {
		a.recorder = newRecorder(o)
		a.store.observe(a.recorder.flows)
		a.options.Health.Check(a.recorder.problems)
		a.syncer.Metrics.registry.MustRegister(a.recorder)
	}
	return a, nil
}

// Synced says whether the rules were in the kernel once.
func (a *Agent) Synced() bool { return a.loop.progress.begun() }

// Run creates an agent and runs it. It fails only before it has started.
func Run(ctx context.Context, o Options) error {
	a, err := New(o)
	if err != nil {
		return err
	}
	a.Run(ctx)
	return nil
}

// Run enforces until the context ends, and then leaves the rules in place. It retries everything that fails.
func (a *Agent) Run(ctx context.Context) {
	o, l := a.options, a.loop
	a.syncer.Events = newEvents(ctx, o.Client, o.Log)
	var running sync.WaitGroup
	defer running.Wait()
	probes := serving.Server{
		Flag: "health-probe-bind-address", Address: o.HealthAddress, Handler: probes(l, o.Health), Taken: "HealthAddressTaken",
	}
	served := []serving.Server{a.metrics, probes}
	if o.Answers != nil {
		served = append(served, o.Answers.Server(a))
	}
	for _, server := range served {
		running.Go(func() { server.Run(ctx, o.Health, o.Log) })
	}
	if o.Hung != nil {
		running.Go(func() { l.watch(ctx, o.Hung) })
	}
	running.Go(func() {
		o.Health.Tell(ctx, health.Teller{Log: o.Log, Event: nodeEvents(a.syncer.Events, o.Node)})
	})
	if o.Wiring != nil {
		running.Go(func() { o.Wiring.Watch(ctx, l.changed) })
	}
	if o.Host != nil {
		running.Go(func() { o.Host.Watch(ctx) })
	}
	// Wait until everything was listed once: a sync with half of the objects would open or close the wrong
	// things.
	w := newWatcher(o.Client, a.store, o.Log)
	o.Health.Check(w.contact.problems)
	defer w.running.Wait()
	if o.Staged != nil {
		w.staged = newStagedWatcher(o.Staged, a.store.staged, o.Log)
	}
	if !w.start(ctx) {
		return
	}
	if o.Servers != nil {
		running.Go(func() { o.Servers.Remember(ctx, o.Client) })
	}
	if o.Listed != nil {
		o.Listed()
	}
	if a.recorder != nil {
		running.Go(func() { a.recorder.run(ctx) })
	}
	a.recall(ctx)
	if o.Reports != nil {
		running.Go(func() { o.Reports.Run(ctx) })
	}
	l.run(ctx)
}
