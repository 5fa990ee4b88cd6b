package lint

import (
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// PeerNotAccepted is found where the other AppTier does not agree.
const PeerNotAccepted ID = "peer-not-accepted"

func init() {
	registerApp(checkAgreements, Check{
		ID: PeerNotAccepted, Severity: Warn, About: ofAppTiers,
		Title: "A connection that the other owner has not agreed to",
		Text: `Between two AppTiers both owners declare a connection: the receiver in its ingress, the sender in its egress,
with a port in common. Until both do, it is denied.`,
	})
}

// checkAgreements finds peers that are there and cannot be peers: tiers whose owner does not agree, and
// Services that stand for no pods. It is what the controller reports of them.
func checkAgreements(r *Report, in *appView) {
	for _, reference := range in.unresolved {
		// Of names that nothing has, checkReferences knows more; of ports, who has all pods of the Service.
		if finding := FindingOf(reference); finding.Check == PeerNotAccepted || finding.Check == PeerSelectsNothing {
			r.Findings = append(r.Findings, finding)
		}
	}
}

// FindingOf is a reference that stands for nobody as a finding.
func FindingOf(reference expand.Unresolved) Finding {
	check := UnknownReference
	switch {
	case reference.Reason == v1alpha1.ReasonPeerNotAccepted:
		check = PeerNotAccepted
	case reference.Reason == v1alpha1.ReasonUnsupportedRef:
		check = PeerSelectsNothing
	case reference.Missing.Ports != "":
		check = NamedPortUnresolved
	}
	return Finding{Check: check, Severity: Warn, Path: Path(reference.Path), Message: reference.Message, Fix: reference.Fix}
}
