package report_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apptier/apptier/internal/cli/doctor"
	"github.com/apptier/apptier/internal/cli/report"
)

func TestWriteDiagnosis(t *testing.T) {
	var got bytes.Buffer
	err := report.WriteDiagnosis(&got, doctor.Installed{}, []doctor.Finding{
		{Check: "enforcers", Status: doctor.Pass, Objects: []string{"DaemonSet a/b"}, Message: "one enforces"},
		{Check: "nodes", Status: doctor.Fail, Objects: []string{"Node a", "Node b", "Node c", "Node d", "Node e"},
			Message: "without an enforcer", Fix: "give them one"},
		{Check: "apptiers", Status: doctor.Warn, Objects: []string{"AppTier shop/shop"}, Message: "first line\nsecond line",
			Fix: "edit it"},
		{Check: "gate", Status: doctor.Unknown, Message: "you may not list nodes", Fix: "ask again"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `ok         enforcers: one enforces
FAILED     nodes: Node a, Node b, Node c and 2 more: without an enforcer
             what to do: give them one
warning    apptiers: AppTier shop/shop: first line
             second line
             what to do: edit it
not judged gate: you may not list nodes
             what to do: ask again

1 ok, 1 warnings, 1 failed, 1 not judged
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
