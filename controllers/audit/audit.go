// Package audit keeps the part of AppTiers' status that says what mode Audit has shown. It asks the nodes, and policy/audit
// decides.
package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
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

	// written and told are when an AppTier's status was written last, and when it had an Event.
	written, told map[types.UID]time.Time
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
	seen := map[string]connections.ConnectionList{}
	known := map[types.UID]bool{}
	var failed error
	for i := range list.Items {
		app := &list.Items[i]
		known[app.UID] = true
		if app.Spec.Mode != v1alpha1.Audit {
			failed = errors.Join(failed, a.forget(ctx, app))
			continue
		}
		if _, asked := seen[app.Namespace]; !asked {
			seen[app.Namespace] = a.Nodes.List(ctx, app.Namespace, now.Add(-audit.Window))
		}
		failed = errors.Join(failed, a.judge(ctx, app, seen[app.Namespace], now))
	}
	for _, times := range []map[types.UID]time.Time{a.written, a.told} {
		for uid := range times {
			if !known[uid] {
				delete(times, uid)
			}
		}
	}
	return failed
}

func (a *Auditor) judge(ctx context.Context, app *v1alpha1.AppTier, seen connections.ConnectionList, now time.Time) error {
	byHand, err := a.byHand(ctx, app.Namespace)
	if err != nil {
		return err
	}
	answer := audit.Judge(audit.Question{App: app, Staged: isStaged(app), ByHand: byHand, Seen: seen, Period: a.Period, Now: now})
	a.tell(app, answer.News, now)
	before := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionAudited)
	condition := answer.Condition
	condition.ObservedGeneration, condition.LastTransitionTime = app.Generation, metav1.NewTime(now)
	isTurn := before == nil || before.Status != condition.Status || before.Reason != condition.Reason ||
		before.ObservedGeneration != app.Generation || begun(answer.Status) != begun(app.Status.Audit)
	if before != nil && before.Status == condition.Status {
		condition.LastTransitionTime = before.LastTransitionTime
	}
	isSame := before != nil && before.Message == condition.Message && equality.Semantic.DeepEqual(answer.Status, app.Status.Audit)
	if !isTurn && (isSame || now.Sub(a.written[app.UID]) < writeEvery) {
		return nil
	}
	status := applyconfiguration.AppTierStatus().WithConditions(metav1ac.Condition().
		WithType(condition.Type).WithStatus(condition.Status).WithReason(condition.Reason).WithMessage(condition.Message).
		WithObservedGeneration(condition.ObservedGeneration).WithLastTransitionTime(condition.LastTransitionTime))
	if answer.Status != nil {
		status.WithAudit(configuration(answer.Status))
	}
	if a.written == nil {
		a.written = map[types.UID]time.Time{}
	}
	a.written[app.UID] = now
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

// forget removes the status of an audit that is over.
func (a *Auditor) forget(ctx context.Context, app *v1alpha1.AppTier) error {
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

// tell writes an Event about connections that nobody was told about, at most one a minute. What comes in between is in the
// next, as long as the status does not show it.
func (a *Auditor) tell(app *v1alpha1.AppTier, news []v1alpha1.AuditedConnection, now time.Time) {
	if len(news) == 0 || a.Events == nil || now.Sub(a.told[app.UID]) < eventEvery {
		return
	}
	if a.told == nil {
		a.told = map[types.UID]time.Time{}
	}
	a.told[app.UID] = now
	last := news[len(news)-1]
	by := strings.ToLower(last.Direction)
	if last.Tier != "" {
		by += " of tier " + last.Tier
	}
	note := fmt.Sprintf("would be denied by %s: %s → %s %s %d", by, last.Source, last.Destination, last.Protocol, last.Port)
	if len(news) > 1 {
		note += fmt.Sprintf(", and %d more", len(news)-1)
	}
	a.Events.Eventf(app, nil, corev1.EventTypeWarning, v1alpha1.ReasonWouldDeny, "Audit", "%s", note)
}
