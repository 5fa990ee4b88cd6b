package apptier

import (
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// PeerNotAccepted reports where the other AppTier does not agree.
var PeerNotAccepted = register(check.Check{
	ID: "peer-not-accepted", Severity: check.Warn, About: check.OfAppTiers,
	Title: "A connection that the other owner has not agreed to",
	Text: `Between two AppTiers both owners declare a connection: the receiver in its ingress, the sender in its egress,
with a port in common. Until both do, it is denied.`,
})

func init() { runs[PeerNotAccepted] = checkAgreements }

// checkAgreements finds peers that exist but cannot be peers: tiers whose owner does not agree, and Services that select
// no pods. The controller reports the same.
func checkAgreements(r *check.Report, in *appView) {
	for _, reference := range in.unresolved {
		// checkReferences knows more about missing objects; missing ports need all pods of the Service.
		if finding := FindingOf(reference); finding.Check == PeerNotAccepted || finding.Check == netpol.PeerSelectsNothing {
			r.Findings = append(r.Findings, finding)
		}
	}
}

// FindingOf makes a finding of an unresolved reference.
func FindingOf(reference expand.Unresolved) check.Finding {
	id := UnknownReference
	switch {
	case reference.Reason == v1alpha1.ReasonPeerNotAccepted:
		id = PeerNotAccepted
	case reference.Reason == v1alpha1.ReasonUnsupportedRef:
		id = netpol.PeerSelectsNothing
	case reference.Missing.Ports != "":
		id = netpol.NamedPortUnresolved
	}
	return check.Finding{Check: id, Severity: check.Warn, Path: check.Path(reference.Path), Message: reference.Message, Fix: reference.Fix}
}
