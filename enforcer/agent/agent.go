package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/enforcer/nft"
)

// Options is what an agent needs.
type Options struct {
	// Node is the name of the node that the agent runs on, as the API server knows it.
	Node   string
	Client kubernetes.Interface
	Kernel nft.Kernel
	// MetricsAddress and HealthAddress are "host:port"; empty or "0" turns the server off.
	MetricsAddress string
	HealthAddress  string
	// Listed is called once everything has been listed; may be nil.
	Listed func()
	// Collectors are served with the agent's own metrics.
	Collectors []prometheus.Collector
	Log        logr.Logger
}

// Agent enforces on one node.
type Agent struct {
	options Options
	syncer  *Syncer
	loop    *loop
	feed    *feed
}

// New returns an agent that does nothing yet.
func New(o Options) (*Agent, error) {
	if o.Node == "" {
		return nil, errors.New("the name of this node is missing: set --node-name or the environment variable NODE_NAME")
	}
	a := &Agent{options: o}
	a.syncer = &Syncer{Node: o.Node, Kernel: o.Kernel, Metrics: NewMetrics(), Log: o.Log}
	a.syncer.Metrics.countDenied(o.Kernel, o.Log)
	for _, c := range o.Collectors {
		if err := a.syncer.Metrics.registry.Register(c); err != nil {
			return nil, fmt.Errorf("adding metrics: %w", err)
		}
	}
	a.loop = newLoop(a.syncer, o.Log)
	a.feed = newFeed(o.Node, a.loop.changed, time.Now)
	a.syncer.Feed = a.feed.apply
	a.loop.expire = a.feed.expire
	return a, nil
}

// Synced tells whether the rules were in the kernel once.
func (a *Agent) Synced() bool { return a.loop.synced.Load() }

// Run is that of a new agent.
func Run(ctx context.Context, o Options) error {
	a, err := New(o)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// Run enforces until the context ends, and leaves the rules in place then. It fails only before
// it has begun: everything later is retried.
func (a *Agent) Run(ctx context.Context) error {
	o, l := a.options, a.loop
	group, ctx := errgroup.WithContext(ctx)
	a.syncer.Events = newEvents(ctx, o.Client, o.Log)
	metricsHandler := promhttp.HandlerFor(a.syncer.Metrics.registry, promhttp.HandlerOpts{})
	for _, server := range []struct {
		flag, address string
		handler       http.Handler
	}{
		{"metrics-bind-address", o.MetricsAddress, metricsHandler},
		{"health-probe-bind-address", o.HealthAddress, health(l)},
	} {
		if err := serve(ctx, group, server.flag, server.address, server.handler); err != nil {
			return err
		}
	}
	group.Go(func() error {
		// Nothing is known before everything was listed once: a sync on half of the objects
		// would open or close the wrong things.
		w := newWatcher(o.Client, a.feed, o.Log)
		defer w.running.Wait()
		if !w.start(ctx) {
			return nil
		}
		if o.Listed != nil {
			o.Listed()
		}
		l.run(ctx)
		return nil
	})
	return group.Wait()
}

// serve listens at once, so that a busy port is an error at start.
func serve(ctx context.Context, group *errgroup.Group, flag, address string, handler http.Handler) error {
	if address == "" || address == "0" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with --%s, or 0 for none", address, err, flag)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return nil
}

// health answers the kubelet: alive unless the loop hangs, ready once the rules are in the kernel.
func health(l *loop) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, !l.stuck(), "the sync loop hangs")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, l.synced.Load(), "the first sync has not succeeded yet")
	})
	return mux
}

func answer(w http.ResponseWriter, ok bool, otherwise string) {
	if !ok {
		http.Error(w, otherwise, http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}
