// Package audit decides what mode Audit has shown of an AppTier, from the connections that nodes saw.
package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/api/v1alpha1"
)

const (
	// Window is how long nodes remember connections; they are asked about that time, and no longer.
	Window = time.Hour
	// keepTop is how long a connection stays in the status after it was seen last.
	keepTop = 24 * time.Hour
	mostTop = 10
	// Every is how often an AppTier is judged, and lead is how long nodes may have had its policies before that was seen. What was
	// seen in that time counts, though it may be what an earlier spec would have denied: to wait longer is no harm.
	Every = 10 * time.Second
	lead  = Every + 5*time.Second
)

// Question is what is judged.
type Question struct {
	App *v1alpha1.AppTier
	// Staged says that the staged policies of the AppTier's present spec are in place.
	Staged bool
	// ByHand are the staged policies of the namespace that no AppTier has, sorted. Policies add up, so nodes do not report what
	// one of them would allow; and enforcing the AppTier does not enforce it.
	ByHand []string
	// Seen are connections of the AppTier's namespace, and what is missing of them.
	Seen connections.ConnectionList
	// Period is how long nothing must be denied until the AppTier counts as audited.
	Period time.Duration
	Now    time.Time
}

// Answer is the part of the status that is about the audit.
type Answer struct {
	// Status is nil before the staged policies are in place.
	Status    *v1alpha1.AuditStatus
	Condition metav1.Condition
	// News are connections that the status did not show before, the latest last.
	News []v1alpha1.AuditedConnection
}

// Judge returns what the audit of an AppTier in mode Audit has shown so far. It begins again with each spec: what an
// earlier one would have denied is no reason to wait.
func Judge(q Question) Answer {
	before := q.App.Status.Audit
	if before == nil || before.ObservedGeneration != q.App.Generation {
		if !q.Staged {
			return Answer{Condition: condition(metav1.ConditionFalse, v1alpha1.ReasonAuditing,
				"the staged policies of this spec are not in place yet")}
		}
		before = &v1alpha1.AuditStatus{ObservedGeneration: q.App.Generation, Since: metav1.NewTime(q.Now.Truncate(time.Second))}
	}
	found := closed(q.App, q.Seen, connections.WouldDeny, before.Since.Add(-lead))
	status := &v1alpha1.AuditStatus{
		ObservedGeneration: before.ObservedGeneration, Since: before.Since, WouldDeny: int32(len(found)), Last: before.Last,
		Top: top(before.Top, found, q.Now),
	}
	for _, c := range found {
		if status.Last == nil || status.Last.Before(&c.Last) {
			status.Last = &metav1.Time{Time: c.Last.Time}
		}
	}
	return Answer{Status: status, Condition: conclude(q, status), News: news(before.Top, found)}
}

// Denied returns the connections that an AppTier's policies denied since a time, each once, the latest last.
func Denied(app *v1alpha1.AppTier, seen connections.ConnectionList, since time.Time) []v1alpha1.AuditedConnection {
	out := closed(app, seen, connections.Denied, since)
	slices.SortStableFunc(out, byTime)
	return out
}

// closed returns the connections that an AppTier's policies denied since a time, or would have, each once.
func closed(
	app *v1alpha1.AppTier, seen connections.ConnectionList, verdict connections.Verdict, since time.Time,
) (out []v1alpha1.AuditedConnection) {
	place := map[v1alpha1.AuditedConnection]int{}
	for _, c := range seen.Items {
		tier, is := tierOf(app.Name, c)
		if c.Verdict != verdict || !is || c.Last.Time.Before(since) {
			continue
		}
		one := v1alpha1.AuditedConnection{
			Source: endOf(c.Source), Destination: endOf(c.Destination), Protocol: string(c.Protocol), Port: c.Port,
			Direction: string(c.Direction), Tier: tier, Count: c.Count, Last: metav1.NewTime(c.Last.Truncate(time.Second)),
		}
		if i, known := place[identity(one)]; known {
			out[i].Count += one.Count
			if out[i].Last.Before(&one.Last) {
				out[i].Last = one.Last
			}
			continue
		}
		place[identity(one)] = len(out)
		out = append(out, one)
	}
	return out
}

// tierOf says by which tier of an AppTier a connection was denied, or would be, if it was by one of its policies.
func tierOf(app string, c connections.Connection) (tier string, is bool) {
	kind := "NetworkPolicy"
	if c.Verdict == connections.WouldDeny {
		kind = "StagedNetworkPolicy"
	}
	for _, policy := range c.Because {
		if policy.Kind == kind && policy.AppTier == app {
			tier, is = cmp.Or(tier, policy.Tier), true
		}
	}
	return tier, is
}

func endOf(e connections.End) string {
	switch {
	case e.Pod == "":
		return e.Address
	case e.Workload != "":
		return e.Namespace + "/" + strings.ToLower(e.Workload)
	default:
		return e.Namespace + "/" + e.Pod
	}
}

// identity is what tells connections apart.
func identity(c v1alpha1.AuditedConnection) v1alpha1.AuditedConnection {
	c.Count, c.Last = 0, metav1.Time{}
	return c
}

// places are where connections are in a list.
func places(list []v1alpha1.AuditedConnection) map[v1alpha1.AuditedConnection]int {
	out := make(map[v1alpha1.AuditedConnection]int, len(list))
	for i, c := range list {
		out[identity(c)] = i
	}
	return out
}

// top are the most frequent of what was known and what is seen now. Nodes forget, so a count never falls.
func top(known, seen []v1alpha1.AuditedConnection, now time.Time) []v1alpha1.AuditedConnection {
	all, place := slices.Clone(seen), places(seen)
	for _, old := range known {
		switch i, found := place[identity(old)]; {
		case found:
			all[i].Count = max(all[i].Count, old.Count)
		case now.Sub(old.Last.Time) < keepTop:
			all = append(all, old)
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.AuditedConnection) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Destination, b.Destination),
			cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Tier, b.Tier))
	})
	return all[:min(len(all), mostTop)]
}

func news(known, seen []v1alpha1.AuditedConnection) []v1alpha1.AuditedConnection {
	place := places(known)
	out := slices.DeleteFunc(slices.Clone(seen), func(c v1alpha1.AuditedConnection) bool { _, found := place[identity(c)]; return found })
	slices.SortStableFunc(out, byTime)
	return out
}

func byTime(a, b v1alpha1.AuditedConnection) int { return a.Last.Compare(b.Last.Time) }

// conclude says whether the AppTier can be enforced.
func conclude(q Question, status *v1alpha1.AuditStatus) metav1.Condition {
	quiet := status.Since.Time
	if status.Last != nil && status.Last.After(quiet) {
		quiet = status.Last.Time
	}
	over := quiet.Add(q.Period)
	// What is missing of others' denials says nothing about what would be denied.
	unreported := slices.IndexFunc(q.Seen.Missing, func(m connections.Missing) bool {
		return m.Verdict == "" || m.Verdict == connections.WouldDeny
	})
	switch {
	case status.Last != nil && q.Now.Before(over):
		return condition(metav1.ConditionFalse, v1alpha1.ReasonWouldDeny,
			"%s, the last at %s: declare what is meant, see status.audit.top and kubectl apptier denied",
			counted(status), status.Last.UTC().Format(time.RFC3339))
	case !q.Staged: // any more: a node without the policies sees nothing that they would deny
		return condition(metav1.ConditionUnknown, v1alpha1.ReasonNotReported,
			"not all is known: not every node has the staged policies now, see the condition %s", v1alpha1.ConditionProgrammed)
	case unreported >= 0:
		m := q.Seen.Missing[unreported]
		return condition(metav1.ConditionUnknown, v1alpha1.ReasonNotReported, "not all is known: %s",
			strings.TrimPrefix(m.Node+": "+m.Reason, ": "))
	case q.Now.Before(over):
		return condition(metav1.ConditionFalse, v1alpha1.ReasonAuditing,
			"nothing would have been denied since %s; audited at %s if that stays so",
			quiet.UTC().Format(time.RFC3339), over.UTC().Format(time.RFC3339))
	case len(q.ByHand) > 0:
		return condition(metav1.ConditionUnknown, v1alpha1.ReasonStagedByHand,
			"StagedNetworkPolicy %s may allow what the AppTier alone would deny: remove it while you audit", q.ByHand[0])
	default:
		return condition(metav1.ConditionTrue, v1alpha1.ReasonNothingDenied, "no connection would have been denied for %s", q.Period)
	}
}

func counted(status *v1alpha1.AuditStatus) string {
	switch status.WouldDeny {
	case 0:
		return "connections would have been denied"
	case 1:
		return "1 connection would have been denied in the last hour"
	default:
		return fmt.Sprintf("%d connections would have been denied in the last hour", status.WouldDeny)
	}
}

func condition(status metav1.ConditionStatus, reason, message string, args ...any) metav1.Condition {
	return metav1.Condition{Type: v1alpha1.ConditionAudited, Status: status, Reason: reason, Message: fmt.Sprintf(message, args...)}
}
