package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/audit"
)

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func at(after time.Duration) metav1.Time { return metav1.NewTime(start.Add(after)) }

// app is an AppTier in mode Audit, of a generation, with what its audit has shown so far.
func app(generation int64, shown *v1alpha1.AuditStatus) *v1alpha1.AppTier {
	return &v1alpha1.AppTier{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop", Generation: generation},
		Spec:       v1alpha1.AppTierSpec{Mode: v1alpha1.Audit}, Status: v1alpha1.AppTierStatus{Audit: shown},
	}
}

// report is a connection of the cron job that nobody declared.
func report(pod string, count int64, last time.Duration) connections.Connection {
	return connections.Connection{
		Verdict: connections.WouldDeny, Direction: connections.Ingress, Count: count, Last: metav1.NewMicroTime(start.Add(last)),
		Source:      connections.End{Namespace: "shop", Pod: pod, Workload: "CronJob/report", Address: "10.0.0.9"},
		Destination: connections.End{Namespace: "shop", Pod: "pg-0", AppTier: "shop", Tier: "database", Address: "10.0.0.2"},
		Protocol:    corev1.ProtocolTCP, Port: 5432,
		Because: []connections.PolicyReference{{Kind: "StagedNetworkPolicy", Name: "shop.tier.database", AppTier: "shop", Tier: "database"}},
	}
}

func list(items ...connections.Connection) connections.ConnectionList {
	return connections.ConnectionList{Items: items}
}

func shown(count int64, last time.Duration) v1alpha1.AuditedConnection {
	return v1alpha1.AuditedConnection{
		Source: "shop/cronjob/report", Destination: "shop/pg-0", Protocol: "TCP", Port: 5432, Direction: "Ingress", Tier: "database",
		Count: count, Last: at(last),
	}
}

func TestJudge(t *testing.T) {
	const day = 24 * time.Hour
	began := &v1alpha1.AuditStatus{ObservedGeneration: 1, Since: at(0)}
	denied := &v1alpha1.AuditStatus{
		ObservedGeneration: 1, Since: at(0), WouldDeny: 1, Last: new(at(time.Minute)), Top: []v1alpha1.AuditedConnection{shown(3, time.Minute)},
	}
	quiet := &v1alpha1.AuditStatus{ObservedGeneration: 1, Since: at(0), Last: denied.Last, Top: denied.Top}
	other := report("report-1", 1, time.Minute)
	other.Because[0].AppTier = "another"
	enforced := report("report-1", 1, time.Minute)
	enforced.Verdict = connections.Denied
	missing := func(verdict connections.Verdict) connections.ConnectionList {
		return connections.ConnectionList{Missing: []connections.Missing{{Node: "n1", Verdict: verdict}}}
	}
	for _, test := range []struct {
		name   string
		asked  audit.Question
		now    time.Duration
		status *v1alpha1.AuditStatus
		// condition is the status and the reason.
		condition string
		news      int
	}{
		{"before its policies are in place it has not begun", audit.Question{App: app(1, nil), Seen: list(report("a", 1, 0))},
			0, nil, "False Auditing", 0},
		{"it begins when they are", staged(app(1, nil)), 0, began, "False Auditing", 0},
		{"what was seen before does not count", staged(app(1, nil), report("a", 1, -time.Minute)), 0, began, "False Auditing", 0},
		{"but what was while nobody looked does", staged(app(1, nil), report("a", 1, -5*time.Second)), 0, &v1alpha1.AuditStatus{
			ObservedGeneration: 1, Since: at(0), WouldDeny: 1, Last: new(at(-5 * time.Second)),
			Top: []v1alpha1.AuditedConnection{shown(1, -5*time.Second)},
		}, "False WouldDeny", 1},
		{"a new spec begins a new one", staged(app(2, denied)), time.Hour,
			&v1alpha1.AuditStatus{ObservedGeneration: 2, Since: at(time.Hour)}, "False Auditing", 0},
		{"pods of a workload are one connection", staged(app(1, began), report("a", 1, time.Second), report("b", 2, time.Minute)),
			time.Minute, denied, "False WouldDeny", 1},
		{"it stays while nodes forget", staged(app(1, denied)), 3 * time.Hour, quiet, "False WouldDeny", 0},
		{"others' policies are others' matter", staged(app(1, began), other), time.Minute, began, "False Auditing", 0},
		{"what is denied is not what would be", staged(app(1, began), enforced), time.Minute, began, "False Auditing", 0},
		{"after a quiet day it is audited", staged(app(1, began)), day, began, "True NothingDenied", 0},
		{"just before, it is not", staged(app(1, began)), day - time.Second, began, "False Auditing", 0},
		{"a day counts from the last", staged(app(1, denied)), day, quiet, "False WouldDeny", 0},
		{"what is long ago is forgotten", staged(app(1, denied)), day + time.Minute,
			&v1alpha1.AuditStatus{ObservedGeneration: 1, Since: at(0), Last: denied.Last}, "True NothingDenied", 0},
		{"a node that does not answer may have seen anything", audit.Question{App: app(1, began), Staged: true, Seen: missing("")},
			day, began, "Unknown NotReported", 0},
		{"what is missing of denials is none of its matter", audit.Question{App: app(1, began), Staged: true, Seen: missing(connections.Denied)},
			day, began, "True NothingDenied", 0},
		{"what is missing of what would be is", audit.Question{App: app(1, began), Staged: true, Seen: missing(connections.WouldDeny)},
			day, began, "Unknown NotReported", 0},
		{"a node that has not the policies any more sees nothing", audit.Question{App: app(1, began)}, day, began, "Unknown NotReported", 0},
		{"nor is it known until then", audit.Question{App: app(1, began)}, time.Hour, began, "Unknown NotReported", 0},
		{"what was seen before stays known", audit.Question{App: app(1, denied)}, 3 * time.Hour, quiet, "False WouldDeny", 0},
		{"a staged policy by hand may hide anything", audit.Question{App: app(1, began), Staged: true, ByHand: []string{"trial"}},
			day, began, "Unknown StagedByHand", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.asked.Period, test.asked.Now = day, start.Add(test.now)
			got := audit.Judge(test.asked)
			if diff := cmp.Diff(test.status, got.Status, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if said := fmt.Sprint(got.Condition.Status, " ", got.Condition.Reason); said != test.condition || got.Condition.Message == "" {
				t.Errorf("the condition is %s, and not %s: %q", said, test.condition, got.Condition.Message)
			}
			if len(got.News) != test.news {
				t.Errorf("news: %v", got.News)
			}
		})
	}
}

// staged asks about an AppTier whose policies are in place.
func staged(app *v1alpha1.AppTier, seen ...connections.Connection) audit.Question {
	return audit.Question{App: app, Staged: true, Seen: list(seen...)}
}

// However many connections there are, the status is small: the most frequent ten.
func TestTheStatusIsSmall(t *testing.T) {
	var seen connections.ConnectionList
	for port := range int32(1000) {
		c := report("a", int64(port), time.Minute)
		c.Port = port + 1
		seen.Items = append(seen.Items, c)
	}
	began := &v1alpha1.AuditStatus{ObservedGeneration: 1, Since: at(0)}
	got := audit.Judge(audit.Question{App: app(1, began), Staged: true, Seen: seen, Period: time.Hour, Now: start.Add(time.Minute)})
	if len(got.Status.Top) != 10 || got.Status.Top[0].Port != 1000 || got.Status.WouldDeny != 1000 {
		t.Errorf("%d in the status, first %v, of %d", len(got.Status.Top), got.Status.Top[0], got.Status.WouldDeny)
	}
}
