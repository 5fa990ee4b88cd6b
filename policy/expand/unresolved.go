package expand

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// Unresolved is a reference that matches nothing yet: its target does not exist, or does not agree. It is
// left out of the policies, and takes effect as soon as its target exists.
type Unresolved struct {
	// Path of the field, as in spec.tiers[0].ingress[0].from[0].appTier.
	Path string
	// Reason is a reason of the condition ResolvedRefs.
	Reason string
	// Message names the object at fault; Fix says what to do, and who.
	Message, Fix string
	// Missing is what does not exist. It is empty if the target exists but does not agree, or cannot be
	// used.
	Missing Missing
}

// Missing is the target of a reference that does not exist.
type Missing struct {
	// Kind is AppTier, Service, Node or EndpointSlice.
	Kind string
	// Key names the AppTier or Service. If the Service exists, pods with its ports are missing.
	Key types.NamespacedName
	// Tier is set if the AppTier exists, but has no such tier. Ports are the ports that no pod of the
	// Service declares.
	Tier, Ports string
}

// String is the reference on one line.
func (u Unresolved) String() string { return fmt.Sprintf("%s: %s: %s", u.Path, u.Message, u.Fix) }

func (x *expansion) missing(at model.Place, what Missing, message, fix string) {
	x.add(Unresolved{Path: at.String(), Reason: v1alpha1.ReasonRefNotFound, Message: message, Fix: fix, Missing: what})
}

func (x *expansion) note(at model.Place, reason, message, fix string) {
	x.add(Unresolved{Path: at.String(), Reason: reason, Message: message, Fix: fix})
}

// add notes each reference once: rules of everyTier are read with each tier.
func (x *expansion) add(entry Unresolved) {
	if !slices.Contains(x.unresolved, entry) {
		x.unresolved = append(x.unresolved, entry)
	}
}
