package netpol

import (
	"fmt"
	"strings"

	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/widening"
)

// Widens is found where a policy opens what an AppTier closes.
var Widens = register(check.Check{
	ID: "widening", Severity: check.Reject, About: check.OfPolicies, ByItself: true,
	Title: "Opens what an AppTier closes",
	Text: `Policies only ever add, so a NetworkPolicy that selects pods of an AppTier can let in what the AppTier
keeps out, and nothing that the AppTier says takes it back. This is decided for every peer that could exist, not
only for those that do, and for every pod that the policy selects and the AppTier isolates. Declare the connection in the AppTier. If it is meant to
stay beside it, annotate the policy with ` + "`policy.apptier.dev/allow-widening: \"the reason\"`" + `, which makes it a warning.
Where labels, addresses or the number behind a port's name decide and are not known, it says so in a warning. At
admission, an AppTier that such a policy would open is refused for the same reason: what is refused does not
depend on which of the two comes first.`,
})

func init() { runs[Widens] = checkWidening }

// checkWidening refuses what opens an AppTier from outside: policies only ever add, so that nothing
// the AppTier says could take it back.
func checkWidening(r *check.Report, v *view) {
	for w := range widening.Of(v.View) {
		path := clausePath(w.Direction, w.Clause)
		reason := strings.TrimSpace(v.Policy.Annotations[widening.Annotation])
		severity := check.Reject
		if w.Unknown != "" || reason != "" {
			severity = check.Warn
		}
		if r.IsFull(Widens, severity, path) {
			if severity == check.Reject {
				return
			}
			continue // what is to be refused may come yet
		}
		if w.Unknown != "" {
			r.Add(Widens, check.Warn, path, "write it so that it can be decided: namespaces by name, ports by number",
				"whether this opens what an AppTier closes is not known: %s", w.Unknown)
			continue
		}
		message := "would let " + w.Words(v.View)
		if reason != "" {
			r.Add(Widens, check.Warn, path, "declare it in the AppTier, if it is to stay",
				"%s; the annotation %s gives as reason: %s", message, widening.Annotation, reason)
			continue
		}
		fix := fmt.Sprintf("declare it in AppTier %s, remove it here, or annotate the policy with %s: the reason", w.AppTiers(), widening.Annotation)
		r.Find(Widens, path, fix, "%s", message)
	}
}
