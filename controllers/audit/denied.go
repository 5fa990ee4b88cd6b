package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/audit"
)

// ReasonDenied is that of Events about connections that were denied. No condition has it.
const ReasonDenied = "Denied"

// Teller is a manager.Runnable that runs where the manager leads. It writes Events about what AppTiers deny that are enforced:
// each minute one for an AppTier, if anything was.
type Teller struct {
	Client client.Client
	// Nodes asks the nodes that have pods of a namespace.
	Nodes  Lister
	Events events.EventRecorder
	Now    func() time.Time
	Log    logr.Logger

	mutex sync.Mutex
	// before is when the last pass began; a pass over many namespaces takes its time.
	before time.Time
	// told is when the latest connection was seen that an AppTier has an Event about.
	told map[types.UID]time.Time
}

// NeedLeaderElection is true: one replica tells.
func (t *Teller) NeedLeaderElection() bool { return true }

// Start tells until the context ends.
func (t *Teller) Start(ctx context.Context) error {
	ticker := time.NewTicker(eventEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := t.Once(ctx); err != nil && ctx.Err() == nil {
			t.Log.Error(err, "Cannot tell what was denied; trying again")
		}
	}
}

// Once tells what was denied since it was told last, or in the last minute. It asks about each namespace once. What a node
// does not answer is not told; kubectl apptier denied says so.
func (t *Teller) Once(ctx context.Context) error {
	var list v1alpha1.AppTierList
	if err := t.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing AppTiers: %w", err)
	}
	now := t.Now()
	before := t.begin(now)
	enforced, there := map[string][]*v1alpha1.AppTier{}, map[types.UID]bool{}
	for i := range list.Items {
		if app := &list.Items[i]; app.Spec.Mode != v1alpha1.Audit {
			enforced[app.Namespace] = append(enforced[app.Namespace], app)
			there[app.UID] = true
		}
	}
	t.forgetOthers(there)
	var group errgroup.Group
	group.SetLimit(atOnce)
	for namespace, apps := range enforced {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			seen := t.Nodes.List(ctx, namespace, before)
			for _, app := range apps {
				if found := audit.Denied(app, seen, t.since(app, before)); len(found) > 0 {
					t.tell(app, found)
				}
			}
			return nil
		})
	}
	return errors.Join(group.Wait())
}

// forgetOthers forgets the AppTiers that are gone, or enforced no longer.
func (t *Teller) forgetOthers(there map[types.UID]bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.told == nil {
		t.told = map[types.UID]time.Time{}
	}
	maps.DeleteFunc(t.told, func(uid types.UID, _ time.Time) bool { return !there[uid] })
}

// begin returns when the pass before began, or a minute ago for the first.
func (t *Teller) begin(now time.Time) (before time.Time) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	before = t.before
	if before.IsZero() {
		before = now.Add(-eventEvery)
	}
	t.before = now
	return before
}

// since is from when on nothing has been told of an AppTier.
func (t *Teller) since(app *v1alpha1.AppTier, before time.Time) time.Time {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if told := t.told[app.UID]; told.After(before) {
		return told
	}
	return before
}

// tell writes an Event about the latest of some connections, which are not none.
func (t *Teller) tell(app *v1alpha1.AppTier, found []v1alpha1.AuditedConnection) {
	last := &found[len(found)-1]
	t.mutex.Lock()
	t.told[app.UID] = last.Last.Add(time.Second) // it is rounded down
	t.mutex.Unlock()
	t.Events.Eventf(app, about(app, last), corev1.EventTypeWarning, ReasonDenied, "Enforce",
		"denied %s (different connections since the last Event: %d); see kubectl apptier denied -n %s", words(last), len(found), app.Namespace)
}
