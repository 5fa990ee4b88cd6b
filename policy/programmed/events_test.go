package programmed

import (
	"fmt"
	"slices"
	"testing"
)

// However many namespaces come and go, and however long nobody takes a report: a bound of events is remembered, and none
// that others wait for is taken for reported.
func TestEventsAreBounded(t *testing.T) {
	const namespaces = 25_000
	var e Events
	for i := range namespaces {
		e.Saw(fmt.Sprintf("team-%d", i), Version(i+1))
	}
	if n := len(e.of); n > mostEvents {
		t.Errorf("events of %d namespaces are remembered", n)
	}
	for _, i := range []int{0, 100, namespaces - 1} {
		local := slices.Values([]string{fmt.Sprintf("team-%d", i)})
		if debt := e.Owes(namespaces, 0, local); debt != Now {
			t.Errorf("team-%d: owes %v", i, debt)
		}
	}
	e.Reported(namespaces)
	if debt := e.Owes(namespaces, namespaces, slices.Values([]string{"team-0"})); debt != Nothing || len(e.of) > 0 {
		t.Errorf("owes %v after it was reported, and remembers %d", debt, len(e.of))
	}
	// Where no pod is, nobody waits.
	if debt := e.Owes(namespaces, 0, slices.Values([]string{})); debt != Nothing {
		t.Errorf("owes %v without pods", debt)
	}
}
