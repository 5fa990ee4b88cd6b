package words_test

import (
	"testing"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/cli/seen/words"
)

func TestLinesOfWhatPassed(t *testing.T) {
	for reason, want := range map[string]string{
		"":                                "10.0.0.1 → 10.0.1.1 TCP 5432 allowed ×7",
		connections.ReasonDeniedElsewhere: "10.0.0.1 → 10.0.1.1 TCP 5432 allowed by one node, denied by another ×7",
	} {
		c := connections.Connection{
			Verdict: connections.Allowed, Reason: reason, Protocol: "TCP", Port: 5432, Count: 7,
			Source: connections.End{Address: "10.0.0.1"}, Destination: connections.End{Address: "10.0.1.1"},
		}
		if got := words.Line(c); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
