package agent

import (
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"github.com/apptier/apptier/enforcer/health"
)

// Why a node is not ready, as far as the agent itself knows.
const (
	// notSynced: the rules were never in the kernel since the agent started.
	notSynced health.Reason = "NotSynced"
	// changesWait: something has changed and no sync that takes it in has succeeded for long.
	changesWait health.Reason = "ChangesWait"
	// notWatched: the API server has not shown for long what changes.
	notWatched health.Reason = "NotWatched"
)

// patience is how long changes may wait, or the API server be away, before the node is not ready: longer
// than any sync takes, and than an API server takes to restart.
const patience = time.Minute

// progress tracks what the kernel does not hold yet. Its zero value is for an agent that has just started.
type progress struct {
	mu      sync.Mutex
	synced  bool      // once
	waiting time.Time // when the oldest change came that no sync has begun to take in; zero if there is none
	taken   time.Time // the same of the sync that runs
	failure string    // of the last sync; empty if it has succeeded
}

// changed notes a change.
func (p *progress) changed(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = earlier(p.waiting, now)
}

// begin notes that a sync takes in all that has changed.
func (p *progress) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken, p.waiting = p.waiting, time.Time{}
}

// end notes how the sync went.
func (p *progress) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.waiting, p.failure = earlier(p.taken, p.waiting), err.Error()
	} else {
		p.synced, p.failure = true, ""
	}
	p.taken = time.Time{}
}

// begun says whether the rules were in the kernel once.
func (p *progress) begun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.synced
}

// problems is a health.Report's check.
func (p *progress) problems(now time.Time) []health.Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	because := ""
	if p.failure != "" {
		because = ": " + p.failure
	}
	since := earlier(p.taken, p.waiting)
	if !p.synced {
		return []health.Problem{{
			Reason: notSynced, Severity: health.NotReady, Message: "the first sync has not succeeded yet" + because,
			Usual: since.IsZero() || now.Sub(since) < patience,
		}}
	}
	if since.IsZero() || now.Sub(since) < patience {
		return nil
	}
	return []health.Problem{{
		Reason: changesWait, Severity: health.NotReady,
		Message: fmt.Sprintf("what has changed since %s is not in the kernel%s", since.UTC().Format(time.RFC3339), because),
	}}
}

// earlier returns the earlier of two times, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// contact tracks which kinds of objects are watched.
type contact struct {
	mu   sync.Mutex
	lost map[string]time.Time // since when which are not
}

// ask notes that a watch begins to be asked for, and answered that it is there.
func (c *contact) ask(kind string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		c.lost = map[string]time.Time{}
	}
	c.lost[kind] = earlier(c.lost[kind], now)
}

func (c *contact) answered(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lost, kind)
}

// problems is a health.Report's check.
func (c *contact) problems(now time.Time) []health.Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	var since time.Time
	for _, lost := range c.lost {
		since = earlier(since, lost)
	}
	if since.IsZero() || now.Sub(since) < patience {
		return nil
	}
	return []health.Problem{{
		Reason: notWatched, Severity: health.NotReady,
		Message: fmt.Sprintf("what has changed in the cluster since %s is not known: see the enforcer's log for why the API server does not answer",
			since.UTC().Format(time.RFC3339)),
	}}
}

// nodeEvents writes Events about a node. The agent may already write Events about any object; a condition would
// need the right to write the status of nodes, which RBAC cannot restrict to the own node.
func nodeEvents(recorder events.EventRecorder, node string) func(kind, reason, note string) {
	// As the kubelet's: "kubectl describe node" looks for Events by this UID.
	about := &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node, UID: types.UID(node)}
	return func(kind, reason, note string) {
		recorder.Eventf(about, nil, kind, reason, "Enforce", "%s", clip(note))
	}
}

// clip keeps a note within what an Event may hold: 1 kB, in
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/.
func clip(note string) string {
	const most = 1000
	if len(note) <= most {
		return note
	}
	return strings.ToValidUTF8(note[:most], "") + "…"
}
