package expand

import (
	"fmt"
	"slices"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Unresolved is a reference that stands for nobody for now: what it names does not exist, or does not
// agree. It is left out, and has its effect as soon as what it names is there.
type Unresolved struct {
	// Path of the field, as in spec.tiers[0].ingress[0].from[0].appTier.
	Path string
	// Reason is a reason of the condition ResolvedRefs.
	Reason string
	// Message names the object at fault; Fix says what to do, and who.
	Message, Fix string
}

// String is the reference on one line.
func (u Unresolved) String() string { return fmt.Sprintf("%s: %s: %s", u.Path, u.Message, u.Fix) }

func (x *expansion) missing(at place, message, fix string) {
	x.note(at, v1alpha1.ReasonRefNotFound, message, fix)
}

// note notes each thing once: what holds for every tier is read with each.
func (x *expansion) note(at place, reason, message, fix string) {
	entry := Unresolved{Path: at.String(), Reason: reason, Message: message, Fix: fix}
	if !slices.Contains(x.unresolved, entry) {
		x.unresolved = append(x.unresolved, entry)
	}
}
