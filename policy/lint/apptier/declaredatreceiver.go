package apptier

import (
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// DeclaredAtReceiver reports where a connection between tiers is declared at its sender.
var DeclaredAtReceiver = register(check.Check{
	ID: "declared-at-receiver", Severity: check.Reject, About: check.OfAppTiers,
	Title: "A connection declared at its sender",
	Text:  `A connection between tiers is declared once, at its receiver. The sender's egress follows from it.`,
})

// checkSelf refuses a reference of an AppTier to itself.
func checkSelf(r *check.Report, app *v1alpha1.AppTier) {
	for rule := range model.Rules(&app.Spec) {
		for i, peer := range rule.Peers {
			reference := peer.AppTier
			if reference == nil || reference.Name != app.Name || reference.Namespace != "" && reference.Namespace != app.Namespace {
				continue
			}
			r.Find(DeclaredAtReceiver, rule.PeerAt(i).Path().Child("appTier"),
				"write tier: "+reference.Tier+" under ingress.from of the tier that receives",
				"this is the AppTier itself, which declares a connection once")
		}
	}
}
