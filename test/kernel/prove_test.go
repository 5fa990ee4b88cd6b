package kernel

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/apptier/apptier/enforcer/prove"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

func (l labNode) prove(t testing.TB, snapshot reach.Snapshot) (report prove.Report, err error) {
	t.Helper()
	kernel := openNode(t, l.Node)
	lab.Must(t, network.In(l.Node, func() error {
		report, err = prove.Kernel(t.Context(), kernel.Kernel, snapshot, lab.NodeName, budget.Defaults())
		return nil
	}))
	return report, err
}

// What a kernel lets through is compared with the policies connection by connection, and what is not as it should be
// is named.
func TestAKernelIsProved(t *testing.T) {
	l := newLab(t, lab.Routed)
	snapshot := l.busy(t, 300)
	if _, err := l.prove(t, snapshot); !errors.Is(err, prove.ErrNoTable) {
		t.Errorf("without a table: %v", err)
	}
	table := l.Load(t, snapshot, 7)
	proved := func(what string) {
		t.Helper()
		report, err := l.prove(t, snapshot)
		lab.Must(t, err)
		if len(report.Differences) > 0 || report.Unknown > 0 || report.Connections < 1000 {
			t.Errorf("%s: %+v", what, report)
		}
	}
	proved("as it was written")

	client := ""
	for name, set := range table.Sets {
		if _, found := set.Elements["10.100.0.1"]; found && strings.HasPrefix(name, "pods4") {
			client = name
		}
	}
	l.NFT(t, "delete element inet apptier "+client+" { 10.100.0.1 }\n")
	report, err := l.prove(t, snapshot)
	lab.Must(t, err)
	if len(report.Differences) == 0 || report.Differences[0].Passes || report.Differences[0].From.String() != "10.100.0.1" {
		t.Errorf("a client is missing: %+v", report)
	}
	l.NFT(t, "add element inet apptier "+client+" { 10.100.0.1, 10.200.0.0 }\n")
	report, err = l.prove(t, snapshot)
	lab.Must(t, err)
	if len(report.Differences) == 0 || !report.Differences[0].Passes || report.Differences[0].From.String() != "10.200.0.0" {
		t.Errorf("a stranger is a client: %+v", report)
	}
	l.NFT(t, "delete element inet apptier "+client+" { 10.200.0.0 }\n")
	proved("mended")

	l.NFT(t, "insert rule inet apptier judge ip saddr 8.8.8.8 accept\n")
	var stale *prove.StaleError
	if _, err := l.prove(t, snapshot); !errors.As(err, &stale) || !strings.Contains(err.Error(), "chain judge has other rules") {
		t.Errorf("a rule was added: %v", err)
	}
	lab.Must(t, network.In(l.Node, func() error {
		left, err := exec.CommandContext(t.Context(), "nft", "list", "tables").CombinedOutput()
		if string(left) != "table inet apptier\n" {
			t.Errorf("the node has %s", left)
		}
		return err
	}))
}

// A policy above its budget is compared as what it is enforced as, and named.
func TestAPolicyAboveItsBudgetIsProved(t *testing.T) {
	l := newLab(t, lab.Routed)
	snapshot := l.busy(t, 50)
	large := snapshot.Policies[0].DeepCopy()
	large.Spec.Ingress = slices.Repeat(large.Spec.Ingress, budget.Defaults().Policy.Rules+1)
	snapshot.Policies[0] = large
	l.Load(t, snapshot, 7)
	report, err := l.prove(t, snapshot)
	lab.Must(t, err)
	if want := []string{large.Namespace + "/" + large.Name}; !slices.Equal(report.Refused, want) || len(report.Differences) > 0 {
		t.Errorf("got %+v, want %v refused and no difference", report, want)
	}
}
