package packets

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/probe"
	"github.com/apptier/apptier/policy/reach"
)

// Verdict is what an outcome means for a case.
type Verdict struct {
	report.Outcome
	// Word says what became of the packets, and Why what is odd about it; empty if nothing is.
	Word, Why string
}

// Judge says what an outcome means for a connection that must be allowed or denied. The packets decide; what the policies
// say of it tells who is to blame, and whether silence is theirs.
func Judge(want, policies reach.Verdict, protocol corev1.Protocol, outcome probe.Outcome) Verdict {
	v := Verdict{Word: words[outcome]}
	switch outcome {
	case probe.Connected, probe.Refused:
		v.arrived(want, policies)
	case probe.Silent, probe.Unreachable, probe.Forbidden:
		if protocol == corev1.ProtocolUDP && outcome == probe.Silent {
			v.Outcome, v.Why = report.Unknown, "over UDP, a server that does not answer looks the same as a denial"
			return v
		}
		v.lost(want, policies)
	default:
		v.Outcome, v.Why = report.Unknown, "the probe could not open a connection"
	}
	return v
}

var words = map[probe.Outcome]string{
	probe.Connected: "connected", probe.Refused: "refused", probe.Silent: "timed out", probe.Unreachable: "unreachable",
	probe.Forbidden: "denied on its node", probe.Failed: "not known",
}

// arrived: the destination has the packets, and answered.
func (v *Verdict) arrived(want, policies reach.Verdict) {
	switch {
	case want == reach.Allow:
		v.Outcome = report.Passed
	case policies == reach.Deny:
		v.Outcome, v.Why = report.Failed, "the policies deny it, and are not in force (kubectl apptier doctor)"
	default:
		v.Outcome = report.Failed
	}
}

// lost: the destination did not get the packets, as far as anybody can see.
func (v *Verdict) lost(want, policies reach.Verdict) {
	switch {
	case want == reach.Deny && policies == reach.Allow:
		v.Outcome, v.Why = report.Unknown, "the policies allow it: something else stops it, or the destination is down"
	case want == reach.Deny && policies != reach.Deny:
		v.Outcome, v.Why = report.Unknown, "whether the policies deny it is not known: the destination may be down"
	case want == reach.Deny:
		v.Outcome = report.Passed
	case policies == reach.Allow:
		v.Outcome, v.Why = report.Failed, "the policies allow it: something else stops it, or the destination is down"
	default:
		v.Outcome = report.Failed
	}
}
