package reach_test

import (
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// Each line is a flow, what becomes of it, and what would with the staged policies.
func TestStaged(t *testing.T) {
	const (
		closedDB = `{podSelector: {matchLabels: {app: db}}}`
		webToDB  = `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`
	)
	type audited struct {
		flow string
		want reach.Verdict
	}
	for _, test := range []struct {
		name             string
		enforced, staged []string
		flows            []audited
	}{
		{"it denies nothing, and what it would deny is said", nil, []string{webToDB}, []audited{
			{"ops/admin shop/db 80 Allow", reach.Deny}, {"shop/web shop/db 80 Allow", reach.Allow}, {"ops/admin shop/web 80 Allow", reach.Allow},
		}},
		{"what is denied anyway would not be denied by it", []string{closedDB}, []string{webToDB}, []audited{
			{"ops/admin shop/db 80 Deny", reach.Allow},
		}},
		{"policies add up, staged or not", []string{webToDB}, []string{closedDB}, []audited{
			{"shop/web shop/db 80 Allow", reach.Allow}, {"ops/admin shop/db 80 Deny", reach.Allow},
		}},
		{"a staged rule opens nothing", []string{closedDB}, []string{webToDB}, []audited{{"shop/web shop/db 80 Deny", reach.Allow}}},
		{"either end counts", nil, []string{`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}`}, []audited{
			{"shop/web shop/db 80 Allow", reach.Deny}, {"shop/db shop/web 80 Allow", reach.Allow},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := snapshot(t, test.enforced...)
			s.Staged = snapshot(t, test.staged...).Policies
			for _, policy := range s.Staged {
				policy.Name = "staged-" + policy.Name
			}
			for _, line := range test.flows {
				flow, want := parseFlow(t, line.flow)
				if got := reach.Allowed(s, flow); got.Verdict != want || got.Audit() != line.want {
					t.Errorf("%s: audit %s, want %s\n%s\n%v", line.flow, got.Audit(), line.want, got, got.Staged)
				}
			}
		})
	}
}

// A staged policy is compared as what it would replace.
func TestAStagedPolicyOfTheSameName(t *testing.T) {
	s := snapshot(t, `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`)
	s.Staged = snapshot(t, `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}]}]}`).Policies
	flow, _ := parseFlow(t, "shop/web shop/db 80 Allow")
	got := reach.Allowed(s, flow)
	if got.Verdict != reach.Allow || got.Audit() != reach.Deny {
		t.Errorf("audit %s of\n%s", got.Audit(), got)
	}
	const want = "denied: ingress of shop/db is isolated by shop/p0 (staged) and no rule allows TCP 80 from shop/web"
	if got.Staged.String() != want {
		t.Errorf("got  %s\nwant %s", got.Staged, want)
	}
}

// Staged policies change no verdict, and the audit is what enforcing them would change.
func TestStagedPoliciesChangeNoVerdict(t *testing.T) {
	seen := map[reach.Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		enforced, with := s, s
		enforced.Policies = nil
		for _, policy := range s.Policies {
			if rapid.Bool().Draw(t, "staged "+policy.Namespace+"/"+policy.Name) {
				s.Staged = append(s.Staged, policy)
			} else {
				enforced.Policies = append(enforced.Policies, policy)
			}
		}
		s.Policies = slices.Clone(enforced.Policies)
		for _, policy := range s.Staged { // some replace one that allows everything
			if rapid.Bool().Draw(t, "replaces") {
				open := policy.DeepCopy()
				open.Spec.Ingress, open.Spec.Egress = []networkingv1.NetworkPolicyIngressRule{{}}, nil
				s.Policies, enforced.Policies = append(s.Policies, open), append(enforced.Policies, open)
			}
		}
		for range 20 {
			flow := reachtest.Flow(s).Draw(t, "flow")
			got, real, staged := reach.Allowed(s, flow), reach.Allowed(enforced, flow), reach.Allowed(with, flow)
			if got.Verdict != real.Verdict {
				t.Fatalf("%+v: %s, without the staged ones %s", flow, got, real)
			}
			want := reach.Allow
			switch {
			case len(s.Staged) == 0:
			case real.Verdict == reach.Allow:
				want = staged.Verdict
			case real.Verdict == reach.Unknown && staged.Verdict != reach.Allow:
				want = reach.Unknown
			}
			if got.Audit() != want {
				t.Fatalf("%+v: audit %s, want %s\n%s\n%s", flow, got.Audit(), want, real, staged)
			}
			seen[got.Audit()]++
		}
	})
	t.Log(seen)
	if !testing.Short() && seen[reach.Deny] == 0 {
		t.Error("nothing would be denied")
	}
}
