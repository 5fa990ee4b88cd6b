package programmed

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apptier/apptier/api/v1alpha1"
)

func TestWhatFollowsFromAReport(t *testing.T) {
	need := Need{Versions: Versions{NetworkPolicies: 10}, Enforced: true, Policies: []string{"shop/shop.tier.web"}}
	audit := Need{Versions: Versions{NetworkPolicies: 10, StagedNetworkPolicies: 4}}
	for name, test := range map[string]struct {
		need   Need
		report *v1alpha1.NodeReportStatus
		want   Verdict
		why    string
	}{
		"none":                {need, nil, Behind, "no enforcer reports"},
		"at the version":      {need, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "10"}, Programmed, ""},
		"later":               {need, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "11"}, Programmed, ""},
		"earlier":             {need, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "9"}, Behind, "the latest change is not in the kernel"},
		"not a number":        {need, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "ten"}, Behind, "the latest change is not in the kernel"},
		"observing":           {need, &v1alpha1.NodeReportStatus{Mode: "Observe", NetworkPolicies: "10"}, NotOurs, "the enforcer only observes"},
		"problems":            {need, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "10", Problems: []string{"A", "B"}}, Behind, "not ready: A, B"},
		"refused":             {need, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "10", NotAsWritten: []string{"shop/shop.tier.web"}}, Behind, "shop/shop.tier.web allows less than it says; see its Events"},
		"refused, of many":    {need, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "10", NotAsWritten: []string{"shop/*"}}, Behind, "shop/shop.tier.web allows less than it says; see its Events"},
		"another is refused":  {need, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "10", NotAsWritten: []string{"shop/other"}}, Programmed, ""},
		"audit, observing":    {audit, &v1alpha1.NodeReportStatus{Mode: "Observe", NetworkPolicies: "10", StagedNetworkPolicies: "4"}, Programmed, ""},
		"audit, not watched":  {audit, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "10"}, Behind, "the enforcer does not watch StagedNetworkPolicies"},
		"audit, earlier":      {audit, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "10", StagedNetworkPolicies: "3"}, Behind, "the latest change of StagedNetworkPolicies is not known"},
		"audit, others first": {audit, &v1alpha1.NodeReportStatus{Mode: "Enforce", NetworkPolicies: "9", StagedNetworkPolicies: "4"}, Behind, "the latest change is not in the kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			var report *v1alpha1.NodeReport
			if test.report != nil {
				report = &v1alpha1.NodeReport{Status: *test.report}
			}
			if got, why := test.need.On(report); got != test.want || why != test.why {
				t.Errorf("got %v, %q; want %v, %q", got, why, test.want, test.why)
			}
		})
	}
}

func TestWhatANodeOwes(t *testing.T) {
	local := slices.Values([]string{"shop"})
	for name, test := range map[string]struct {
		events             func(*Events)
		inKernel, reported Version
		want               Debt
	}{
		"nothing new":                             {func(e *Events) { e.Listed(5) }, 5, 5, Nothing},
		"an event of a namespace with pods":       {func(e *Events) { e.Saw("shop", 7) }, 7, 5, Now},
		"the same, reported":                      {func(e *Events) { e.Saw("shop", 7) }, 7, 7, Nothing},
		"the same, not in the kernel yet":         {func(e *Events) { e.Saw("shop", 7) }, 6, 5, Nothing},
		"an event of another namespace":           {func(e *Events) { e.Saw("bank", 7) }, 7, 5, Nothing},
		"a report of another covers it":           {func(e *Events) { e.Saw("shop", 6); e.Saw("bank", 7) }, 7, 6, Nothing},
		"it was listed again":                     {func(e *Events) { e.Listed(5); e.Listed(8) }, 8, 5, Later},
		"it was, and that is reported":            {func(e *Events) { e.Listed(5); e.Listed(8) }, 9, 8, Nothing},
		"a list shows more":                       {func(e *Events) { e.Listed(5); e.Found("shop", 7); e.Listed(8) }, 8, 5, Now},
		"the cluster was restored to before":      {func(e *Events) { e.Saw("shop", 7); e.Listed(3) }, 3, 7, Now},
		"forgotten, since it is reported":         {func(e *Events) { e.Saw("shop", 7); e.Reported(7) }, 7, 5, Nothing},
		"an event that is not, after one that is": {func(e *Events) { e.Saw("shop", 7); e.Reported(7); e.Saw("shop", 8) }, 8, 7, Now},
	} {
		t.Run(name, func(t *testing.T) {
			var e Events
			test.events(&e)
			if got := e.Owes(test.inKernel, test.reported, local); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestManyPoliciesAreNamedByTheirNamespaces(t *testing.T) {
	few := []string{"b/2", "a/1", "a/1"}
	if diff := cmp.Diff([]string{"a/1", "b/2"}, NotAsWritten(few)); diff != "" {
		t.Error(diff)
	}
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("ns-%d/p-%d", i%2, i))
	}
	if diff := cmp.Diff([]string{"ns-0/*", "ns-1/*"}, NotAsWritten(many)); diff != "" {
		t.Error(diff)
	}
}
