package lint

import "github.com/apptier/apptier/api/v1alpha1"

// Conflicts returns the conflicts of an AppTier with those of its namespace that came before it.
// Admission refuses both orders; of two that got past it, the older stays. The AppTier itself, and
// those about to go, may be among the others.
func Conflicts(app *v1alpha1.AppTier, others []*v1alpha1.AppTier) []Finding {
	var findings []Finding
	for _, other := range others {
		if other.Namespace == app.Namespace && other.DeletionTimestamp.IsZero() && older(other, app) {
			findings = append(findings, SameNamespaceAs(app, other)...)
		}
	}
	return findings
}

// older orders AppTiers of one namespace. Timestamps are whole seconds, and in files there are none:
// then names decide.
func older(a, b *v1alpha1.AppTier) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}
