package attack

import (
	"testing"

	"github.com/apptier/apptier/test/lab"
)

// Nothing can be judged that a bridge does not show: this kernel follows no connections in the family bridge.
// The node says so.
func TestABridgeThatShowsNothing(t *testing.T) {
	run(t, attack{
		name: "TCP to a port that is not allowed, bridge-nf-call 0", by: withoutCapabilities, wirings: []lab.Wiring{lab.Bridged},
		given: func(s *scene) { s.showBridges("0") }, unjudged: "BridgeUnseen", try: stealsFromVictim,
	})
}
