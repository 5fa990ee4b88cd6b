package nodereport

import (
	"context"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/policy/programmed"
)

const (
	// spread is over how long nodes that have the same to say spread it, at most; what changes meanwhile is said too.
	spread = time.Second
	// apart is how long after one report the next is written, at least.
	apart = 2 * time.Second
	// lookEvery is how often problems of the node are looked at. One is reported that is there twice.
	lookEvery = 5 * time.Second
	// later is over how long nodes spread what nobody is likely to wait for.
	later = 5 * time.Minute
	// again is after how long a report is written although it says nothing new: somebody may have deleted it.
	again = 30 * time.Minute
	// timeout bounds one request; firstRetry and lastRetry how long to wait after it fails.
	timeout    = 10 * time.Second
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// Commit is what the kernel holds after a sync.
type Commit struct {
	programmed.Versions
	// Owed says whether others wait to hear of these versions.
	Owed programmed.Debt
	// NotAsWritten is v1alpha1.NodeReportStatus'.
	NotAsWritten []string
}

// Reporter writes the report of one node. Its fields are set before Run.
type Reporter struct {
	// Write writes the report.
	Write func(context.Context, Report) error
	// Mode says whether the enforcer drops packets.
	Mode v1alpha1.EnforcerMode
	Log  logr.Logger

	// Node is the name of the node, and Owner returns the UID of its object; empty while that is not known. The agent sets
	// these, and those below.
	Node  string
	Owner func() types.UID
	// Problems are those of the node.
	Problems func() []health.Problem
	// Reported is told which versions were written.
	Reported func(programmed.Versions)

	once sync.Once
	wake chan struct{}

	mu        sync.Mutex
	committed *Commit // the last; nil before the first
	server    *v1alpha1.NodeServer
	problems  steady
	written   Report
	at        time.Time // when it was; zero if it never was
	dueLater  time.Time // when what is owed later is due; zero if nothing is
}

// Report is the content of a NodeReport.
type Report struct {
	Node   string
	UID    types.UID
	Status v1alpha1.NodeReportStatus
}

// Committed tells of a sync. It never blocks.
func (r *Reporter) Committed(c Commit) {
	r.mu.Lock()
	if r.committed != nil {
		c.Owed = max(c.Owed, r.committed.Owed) // which was not written yet
	}
	if c.Owed != programmed.Nothing && r.dueLater.IsZero() {
		r.dueLater = time.Now().Add(rand.N(later)) //nolint:gosec // no secret
	}
	r.committed = &c
	r.mu.Unlock()
	r.poke()
}

// Serve tells where the node's server answers.
func (r *Reporter) Serve(server v1alpha1.NodeServer) {
	r.mu.Lock()
	r.server = &server
	r.mu.Unlock()
	r.poke()
}

// Written is what others have heard of.
func (r *Reporter) Written() programmed.Versions {
	r.mu.Lock()
	defer r.mu.Unlock()
	return versionsOf(r.written.Status)
}

func versionsOf(s v1alpha1.NodeReportStatus) programmed.Versions {
	return programmed.Versions{
		NetworkPolicies:       programmed.ParseVersion(s.NetworkPolicies),
		StagedNetworkPolicies: programmed.ParseVersion(s.StagedNetworkPolicies),
	}
}

func (r *Reporter) poke() {
	select {
	case r.waking() <- struct{}{}:
	default:
	}
}

func (r *Reporter) waking() chan struct{} {
	r.once.Do(func() { r.wake = make(chan struct{}, 1) })
	return r.wake
}

// Run writes reports until the context ends. The last one stays.
func (r *Reporter) Run(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	backoff := freshBackoff()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			r.problems.see(r.Problems())
		case <-r.waking():
		}
		if !r.due(time.Now()) || !sleep(ctx, rand.N(spread)) { //nolint:gosec // no secret
			continue
		}
		pause := apart
		if err := r.write(ctx); err != nil && ctx.Err() == nil {
			pause = backoff.Step()
			r.Log.Error(err, "Cannot write the node's report; others do not learn what it enforces", "again in", pause.String())
		} else {
			backoff = freshBackoff()
		}
		sleep(ctx, pause)
		r.poke() // what has come meanwhile
	}
}

func freshBackoff() wait.Backoff {
	return wait.Backoff{Duration: firstRetry, Factor: 2, Jitter: 0.5, Steps: 20, Cap: lastRetry}
}

// sleep says whether the context is still alive afterwards.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// due says whether there is something to write.
func (r *Reporter) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.committed == nil || r.Owner() == "" {
		return false
	}
	if r.at.IsZero() || r.committed.Owed == programmed.Now || now.Sub(r.at) >= again {
		return true
	}
	if r.committed.Owed == programmed.Later && !now.Before(r.dueLater) {
		return true
	}
	next, last := r.next(), r.written
	// Versions alone are no news: most events concern other nodes.
	for _, s := range []*v1alpha1.NodeReportStatus{&next.Status, &last.Status} {
		s.NetworkPolicies, s.StagedNetworkPolicies = "", ""
	}
	return !reflect.DeepEqual(next, last)
}

// next is the report as it should be. The reporter is locked.
func (r *Reporter) next() Report {
	c := r.committed
	return Report{Node: r.Node, UID: r.Owner(), Status: v1alpha1.NodeReportStatus{
		Mode:                  r.Mode,
		NetworkPolicies:       c.NetworkPolicies.String(),
		StagedNetworkPolicies: c.StagedNetworkPolicies.String(),
		NotAsWritten:          c.NotAsWritten,
		Problems:              r.problems.reasons,
		Server:                r.server,
	}}
}

func (r *Reporter) write(ctx context.Context) error {
	r.mu.Lock()
	next := r.next()
	owed := r.committed.Owed
	r.committed.Owed = programmed.Nothing
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := r.Write(ctx, next)

	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.committed.Owed = max(r.committed.Owed, owed)
		return err
	}
	r.written, r.at, r.dueLater = next, time.Now(), time.Time{}
	if r.committed.Versions == versionsOf(next.Status) {
		r.committed.Owed = programmed.Nothing // a sync meanwhile did not know of this
	}
	r.Reported(versionsOf(next.Status))
	return nil
}
