// Package audit keeps the part of AppTiers' status that says what mode Audit has shown. It asks the nodes, and policy/audit
// decides.
package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/api/v1alpha1"
	applyconfiguration "github.com/apptier/apptier/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/apptier/apptier/policy/audit"
)

const (
	// fieldOwner owns status.audit and the condition Audited, and nothing else.
	fieldOwner = client.FieldOwner("apptier-audit")
	// writeEvery is how often counts are written at most. A condition that changes is written at once.
	writeEvery = 30 * time.Second
	// eventEvery is how often an AppTier has an Event at most.
	eventEvery = time.Minute
	// atOnce is how many namespaces are asked about at once: a node that is down takes the time that all have, and a list may
	// be long, so it is not kept.
	atOnce = 8
)

// Lister asks nodes for connections.
type Lister interface {
	List(ctx context.Context, namespace string, since time.Time) connections.ConnectionList
}

// Auditor is a manager.Runnable that runs where the manager leads.
type Auditor struct {
	Client client.Client
	// Nodes asks the nodes that have pods of a namespace: these alone judge what its policies would deny.
	Nodes  Lister
	Events events.EventRecorder
	// Period is how long nothing must be denied until an AppTier counts as audited.
	Period time.Duration
	Now    func() time.Time
	Log    logr.Logger

	mutex sync.Mutex
	known map[types.UID]*progress
}

// progress is what has been done about an AppTier.
type progress struct {
	// written is when its status was written last, and told when it had an Event.
	written, told time.Time
	// untold is the latest connection that is to have an Event; nil for none.
	untold *v1alpha1.AuditedConnection
}

// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers,verbs=get;list;watch
// +kubebuilder:rbac:groups=policy.apptier.dev,resources=apptiers/status,verbs=get;patch

// NeedLeaderElection is true: one replica writes.
func (a *Auditor) NeedLeaderElection() bool { return true }

// Start audits until the context ends.
func (a *Auditor) Start(ctx context.Context) error {
	ticker := time.NewTicker(audit.Every) // nodes remember for an hour, so nothing is lost while no manager leads
	defer ticker.Stop()
	for {
		if err := a.Once(ctx); err != nil && ctx.Err() == nil {
			a.Log.Error(err, "Cannot audit; trying again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Once audits every AppTier in mode Audit, and removes what an audit left behind where the mode is another now. It asks about
// each namespace once, and goes on where one AppTier's status cannot be written.
func (a *Auditor) Once(ctx context.Context) error {
	var list v1alpha1.AppTierList
	if err := a.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing AppTiers: %w", err)
	}
	now := a.Now()
	a.forgetOthers(list.Items)
	audited := map[string][]*v1alpha1.AppTier{}
	var failed error
	for i := range list.Items {
		if app := &list.Items[i]; app.Spec.Mode == v1alpha1.Audit {
			audited[app.Namespace] = append(audited[app.Namespace], app)
		} else {
			failed = errors.Join(failed, a.end(ctx, app))
		}
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for namespace, apps := range audited {
		group.Go(func() error {
			var failed error
			seen := a.Nodes.List(ctx, namespace, now.Add(-audit.Window))
			for _, app := range apps {
				failed = errors.Join(failed, a.judge(ctx, app, seen, now))
			}
			return failed
		})
	}
	return errors.Join(failed, group.Wait())
}

// forgetOthers forgets the AppTiers that are gone.
func (a *Auditor) forgetOthers(apps []v1alpha1.AppTier) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	there := make(map[types.UID]bool, len(apps))
	for i := range apps {
		there[apps[i].UID] = true
	}
	maps.DeleteFunc(a.known, func(uid types.UID, _ *progress) bool { return !there[uid] })
}

// progress returns what has been done about an AppTier, which one call at a time judges.
func (a *Auditor) progress(app *v1alpha1.AppTier) *progress {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.known == nil {
		a.known = map[types.UID]*progress{}
	}
	if a.known[app.UID] == nil {
		a.known[app.UID] = &progress{}
	}
	return a.known[app.UID]
}

func (a *Auditor) judge(ctx context.Context, app *v1alpha1.AppTier, seen connections.ConnectionList, now time.Time) error {
	byHand, err := a.byHand(ctx, app.Namespace)
	if err != nil {
		return err
	}
	answer := audit.Judge(audit.Question{App: app, Staged: isStaged(app), ByHand: byHand, Seen: seen, Period: a.Period, Now: now})
	done := a.progress(app)
	a.tell(app, answer, done, now)
	before := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionAudited)
	condition := answer.Condition
	condition.ObservedGeneration, condition.LastTransitionTime = app.Generation, metav1.NewTime(now)
	isTurn := before == nil || before.Status != condition.Status || before.Reason != condition.Reason ||
		before.ObservedGeneration != app.Generation || begun(answer.Status) != begun(app.Status.Audit)
	if before != nil && before.Status == condition.Status {
		condition.LastTransitionTime = before.LastTransitionTime
	}
	isSame := before != nil && before.Message == condition.Message && equality.Semantic.DeepEqual(answer.Status, app.Status.Audit)
	if !isTurn && (isSame || now.Sub(done.written) < writeEvery) {
		return nil
	}
	status := applyconfiguration.AppTierStatus().WithConditions(metav1ac.Condition().
		WithType(condition.Type).WithStatus(condition.Status).WithReason(condition.Reason).WithMessage(condition.Message).
		WithObservedGeneration(condition.ObservedGeneration).WithLastTransitionTime(condition.LastTransitionTime))
	if answer.Status != nil {
		status.WithAudit(configuration(answer.Status))
	}
	done.written = now
	return a.write(ctx, app, status)
}

// byHand are the names of a namespace's staged policies that no AppTier has. The cache knows no more of them.
func (a *Auditor) byHand(ctx context.Context, namespace string) (names []string, err error) {
	var list v1alpha1.StagedNetworkPolicyList
	if err := a.Client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing StagedNetworkPolicies: %w", err)
	}
	for i := range list.Items {
		if v1alpha1.OwnerOf(&list.Items[i]) == "" {
			names = append(names, list.Items[i].Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// begun is the generation whose audit has begun; 0 if none has.
func begun(s *v1alpha1.AuditStatus) int64 {
	if s == nil {
		return 0
	}
	return s.ObservedGeneration
}

// isStaged says whether the staged policies of the present spec are in place, on every node if enforcers say so.
func isStaged(app *v1alpha1.AppTier) bool {
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionProgrammed} {
		c := meta.FindStatusCondition(app.Status.Conditions, name)
		if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != app.Generation {
			return false
		}
	}
	return true
}

// end removes the status of an audit that is over.
func (a *Auditor) end(ctx context.Context, app *v1alpha1.AppTier) error {
	if app.Status.Audit == nil && meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionAudited) == nil {
		return nil
	}
	return a.write(ctx, app, applyconfiguration.AppTierStatus())
}

func (a *Auditor) write(ctx context.Context, app *v1alpha1.AppTier, status *applyconfiguration.AppTierStatusApplyConfiguration) error {
	config := applyconfiguration.AppTier(app.Name, app.Namespace).WithUID(app.UID).WithStatus(status)
	if err := a.Client.Status().Apply(ctx, config, fieldOwner, client.ForceOwnership); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing what the audit of AppTier %s/%s has shown: %w", app.Namespace, app.Name, err)
	}
	return nil
}

func configuration(s *v1alpha1.AuditStatus) *applyconfiguration.AuditStatusApplyConfiguration {
	out := applyconfiguration.AuditStatus().WithObservedGeneration(s.ObservedGeneration).WithSince(s.Since).WithWouldDeny(s.WouldDeny)
	if s.Last != nil {
		out.WithLast(*s.Last)
	}
	for _, c := range s.Top {
		one := applyconfiguration.AuditedConnection().WithSource(c.Source).WithDestination(c.Destination).WithProtocol(c.Protocol).
			WithPort(c.Port).WithDirection(c.Direction).WithCount(c.Count).WithLast(c.Last)
		if c.Tier != "" {
			one.WithTier(c.Tier)
		}
		out.WithTop(one)
	}
	return out
}

// tell writes an Event about connections that the status did not show, at most one a minute: of several the latest has it, and
// the number of all.
func (a *Auditor) tell(app *v1alpha1.AppTier, answer audit.Answer, done *progress, now time.Time) {
	if n := len(answer.News); n > 0 {
		done.untold = &answer.News[n-1]
	}
	if answer.Status == nil { // another spec, of which nothing is known
		done.untold = nil
	}
	if done.untold == nil || a.Events == nil || now.Sub(done.told) < eventEvery {
		return
	}
	last := done.untold
	done.told, done.untold = now, nil
	a.Events.Eventf(app, about(app, last), corev1.EventTypeWarning, v1alpha1.ReasonWouldDeny, "Audit",
		"would be denied %s (different connections in the last hour: %d)", words(last), answer.Status.WouldDeny)
}

// about has the Event of another connection be another Event. The recorder writes one for those of the last minutes that differ
// in their notes alone, with the note of the first: whoever is denied something each minute would hide what else is.
func about(app *v1alpha1.AppTier, c *v1alpha1.AuditedConnection) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: connections.GroupVersion.String(), Kind: "Connection", Namespace: app.Namespace, FieldPath: words(c),
	}
}

// words say by what a connection is denied, and between whom.
func words(c *v1alpha1.AuditedConnection) string {
	by := strings.ToLower(c.Direction)
	if c.Tier != "" {
		by += " of tier " + c.Tier
	}
	return fmt.Sprintf("by %s: %s → %s %s %d", by, c.Source, c.Destination, c.Protocol, c.Port)
}
