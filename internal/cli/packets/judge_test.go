package packets_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/internal/cli/packets"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/probe"
	"github.com/apptier/apptier/policy/reach"
)

// What each outcome means, for what is expected and what the policies say.
func TestJudge(t *testing.T) {
	const tcp, udp = corev1.ProtocolTCP, corev1.ProtocolUDP
	const inForce = "the policies deny it, and are not in force (kubectl apptier doctor)"
	const other = "the policies allow it: something else stops it, or the destination is down"
	const perhaps = "whether the policies deny it is not known: the destination may be down"
	const mute = "over UDP, a server that does not answer looks the same as a denial"
	for _, test := range []struct {
		want, policies reach.Verdict
		protocol       corev1.Protocol
		outcome        probe.Outcome
		is             report.Outcome
		word, why      string
	}{
		{reach.Allow, reach.Allow, tcp, probe.Connected, report.Passed, "connected", ""},
		{reach.Allow, reach.Allow, tcp, probe.Refused, report.Passed, "refused", ""},
		{reach.Allow, reach.Allow, udp, probe.Connected, report.Passed, "connected", ""},
		{reach.Allow, reach.Deny, tcp, probe.Connected, report.Passed, "connected", ""},
		{reach.Allow, reach.Deny, tcp, probe.Silent, report.Failed, "timed out", ""},
		{reach.Allow, reach.Unknown, tcp, probe.Silent, report.Failed, "timed out", ""},
		{reach.Allow, reach.Allow, tcp, probe.Silent, report.Failed, "timed out", other},
		{reach.Allow, reach.Allow, tcp, probe.Unreachable, report.Failed, "unreachable", other},
		{reach.Allow, reach.Allow, udp, probe.Silent, report.Unknown, "timed out", mute},
		{reach.Allow, reach.Deny, udp, probe.Silent, report.Unknown, "timed out", mute},
		{reach.Deny, reach.Deny, tcp, probe.Silent, report.Passed, "timed out", ""},
		{reach.Deny, reach.Unknown, tcp, probe.Silent, report.Unknown, "timed out", perhaps},
		{reach.Deny, reach.Unknown, tcp, probe.Unreachable, report.Unknown, "unreachable", perhaps},
		{reach.Deny, reach.Deny, tcp, probe.Unreachable, report.Passed, "unreachable", ""},
		{reach.Deny, reach.Deny, udp, probe.Forbidden, report.Passed, "denied on its node", ""},
		{reach.Deny, reach.Allow, tcp, probe.Silent, report.Unknown, "timed out", other},
		{reach.Deny, reach.Deny, udp, probe.Silent, report.Unknown, "timed out", mute},
		{reach.Deny, reach.Deny, udp, probe.Refused, report.Failed, "refused", inForce},
		{reach.Deny, reach.Deny, tcp, probe.Connected, report.Failed, "connected", inForce},
		{reach.Deny, reach.Allow, tcp, probe.Refused, report.Failed, "refused", ""},
		{reach.Deny, reach.Allow, tcp, probe.Connected, report.Failed, "connected", ""},
		{reach.Deny, reach.Deny, tcp, probe.Failed, report.Unknown, "not known", "the probe could not open a connection"},
		{reach.Allow, reach.Allow, tcp, probe.Failed, report.Unknown, "not known", "the probe could not open a connection"},
	} {
		got := packets.Judge(test.want, test.policies, test.protocol, test.outcome)
		if want := (packets.Verdict{Outcome: test.is, Word: test.word, Why: test.why}); got != want {
			t.Errorf("%s %s where %v is wanted and the policies say %v: %+v, want %+v",
				test.protocol, test.word, test.want, test.policies, got, want)
		}
	}
}

// Silence over UDP never passes, whatever is expected.
func TestSilenceOverUDPIsNoAnswer(t *testing.T) {
	for _, want := range []reach.Verdict{reach.Allow, reach.Deny} {
		for _, policies := range []reach.Verdict{reach.Allow, reach.Deny, reach.Unknown} {
			if got := packets.Judge(want, policies, corev1.ProtocolUDP, probe.Silent); got.Outcome != report.Unknown {
				t.Errorf("%v, where the policies say %v: %s", want, policies, got.Outcome)
			}
		}
	}
}
