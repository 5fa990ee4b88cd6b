package nri

import (
	"context"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
)

// DefaultSocket is where container runtimes listen for plugins.
const DefaultSocket = api.DefaultSocketPath

// patience is the longest time that a pod waits for its rules. Runtimes wait for two seconds by default, and then drop the
// plugin.
const patience = 1500 * time.Millisecond

// A restarted runtime starts pods at once, and a look for its socket is cheap.
var (
	retry   = wait.Backoff{Duration: 50 * time.Millisecond, Factor: 2, Steps: 6, Cap: time.Second}
	forgets = 10 * time.Second // a connection of this length resets the delays
)

// Plugin announces the pods that a container runtime starts.
type Plugin struct {
	// Socket is the path of the runtime's socket for plugins.
	Socket string
	// Announce returns once the kernel has rules for a pod's addresses, or when its context ends.
	Announce func(ctx context.Context, pod Pod) error
	// Ready says whether Announce can succeed. Until then the plugin does not connect to the runtime.
	Ready   func() bool
	Metrics *Metrics
	Log     logr.Logger

	away bool // it is logged that the runtime takes no plugin
}

// Run serves the runtime until the context ends, also after restarts of the runtime. If there is no runtime, or it takes no
// plugins, it logs this once, and keeps trying.
func (p *Plugin) Run(ctx context.Context) {
	delays := retry.DelayWithReset(clock.RealClock{}, forgets)
	// The only error is the context's.
	_ = delays.Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		if p.Ready() {
			p.report(ctx, p.session(ctx))
		}
		return false, nil
	})
}

// began is called when the runtime has accepted the plugin.
func (p *Plugin) began() {
	p.Metrics.connected.Set(1)
	p.Log.Info("The container runtime announces pods before they start", "socket", p.Socket)
	p.away = false
}

// report says once why the runtime announces no pods.
func (p *Plugin) report(ctx context.Context, err error) {
	p.Metrics.connected.Set(0)
	if ctx.Err() != nil || p.away {
		return
	}
	p.away = true
	p.Log.Info("The container runtime announces no pods: each stays closed for about a second after its start, until the API "+
		"server knows its addresses. Looking for the runtime all the time",
		"socket", p.Socket, "reason", err.Error())
}

// RunPodSandbox is called by the runtime when a pod has its addresses, and before anything in it runs. It never fails,
// because then the runtime would not start the pod.
func (p *Plugin) RunPodSandbox(ctx context.Context, sandbox *api.PodSandbox) error {
	pod, found, err := podOf(sandbox)
	switch {
	case err != nil:
		p.failed(pod, err)
	case !found:
	case len(pod.Addresses) == 0:
		p.failed(pod, errNoAddresses)
	default:
		p.announce(ctx, pod)
	}
	return nil
}

func (p *Plugin) announce(ctx context.Context, pod Pod) {
	limit := patience
	if deadline, ok := ctx.Deadline(); ok { // the runtime's own
		limit = min(limit, time.Until(deadline)*3/4)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	started := time.Now()
	err := p.Announce(ctx, pod)
	took := time.Since(started)
	p.Metrics.waited.Observe(took.Seconds())
	if err != nil {
		p.failed(pod, err)
		return
	}
	p.Metrics.announced.WithLabelValues(resultInTime).Inc()
	p.Log.V(1).Info("Announced", "pod", pod.String(), "addresses", pod.Addresses, "took", took)
}

func (p *Plugin) failed(pod Pod, err error) {
	p.Metrics.announced.WithLabelValues(resultFailed).Inc()
	p.Log.Error(err, "A pod starts before the kernel has its rules: it stays closed until then", "pod", pod.String())
}
