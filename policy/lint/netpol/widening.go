package netpol

import (
	"fmt"
	"strings"

	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/widening"
)

// Widens reports where a policy opens what an AppTier closes.
var Widens = register(check.Check{
	ID: "widening", Severity: check.Reject, About: check.OfPolicies, ByItself: true,
	Title: "Opens what an AppTier closes",
	Text: `Policies only ever add, so a NetworkPolicy that selects pods of an AppTier can allow what the AppTier denies, and
the AppTier cannot deny it again. This is decided for every pod that the policy selects and the AppTier isolates, and for
every peer, also one that does not exist yet. Declare the connection in the AppTier. To keep it in the policy, annotate
the policy with ` + "`policy.apptier.dev/allow-widening: \"the reason\"`" + `, which makes the finding a warning.
If the answer depends on labels, addresses or the number of a named port that are not known, a warning says so. Admission
also refuses an AppTier that such a policy would open, so the result does not depend on which of the two comes first.`,
})

func init() { runs[Widens] = checkWidening }

// checkWidening refuses what opens an AppTier from outside: policies only ever add, so the AppTier cannot deny it again.
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
			continue // a later one may be refused
		}
		if w.Unknown != "" {
			r.Add(Widens, check.Warn, path, "write it so that it can be decided: namespaces by name, ports by number",
				"it is not known whether this opens what an AppTier closes: %s", w.Unknown)
			continue
		}
		message := "would let " + w.Words(v.View)
		if reason != "" {
			r.Add(Widens, check.Warn, path, "declare it in the AppTier to keep it",
				"%s; the annotation %s gives the reason: %s", message, widening.Annotation, reason)
			continue
		}
		fix := fmt.Sprintf("declare it in AppTier %s, remove it here, or annotate the policy with %s: the reason", w.AppTiers(),
			widening.Annotation)
		r.Find(Widens, path, fix, "%s", message)
	}
}
