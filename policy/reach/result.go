package reach

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Verdict is the answer to whether a flow may pass.
type Verdict string

const (
	// Allow means that the flow passes.
	Allow Verdict = "Allow"
	// Deny means that the flow does not pass.
	Deny Verdict = "Deny"
	// Unknown means that the snapshot does not hold what would decide.
	Unknown Verdict = "Unknown"
)

// and is the verdict on a flow that needs both.
func (v Verdict) and(w Verdict) Verdict {
	switch {
	case v == Deny || w == Deny:
		return Deny
	case v == Unknown || w == Unknown:
		return Unknown
	default:
		return Allow
	}
}

// or is the verdict on a flow that needs one of the two.
func (v Verdict) or(w Verdict) Verdict {
	switch {
	case v == Allow || w == Allow:
		return Allow
	case v == Unknown || w == Unknown:
		return Unknown
	default:
		return Deny
	}
}

// Result is the verdict on a flow, and how it came about in each direction.
type Result struct {
	// Verdict is Deny when either direction denies, Allow when both allow, else Unknown.
	Verdict Verdict
	// Egress is what the policies of the source say.
	Egress Decision
	// Ingress is what the policies of the destination say.
	Ingress Decision
	// Staged is the result that there would be with the staged policies enforced too; nil if there are none.
	Staged *Result
}

// Audit says whether the flow would be denied by the staged policies: Deny if it passes, and would not with them
// enforced too; Allow if it would pass as well, or does not pass anyway.
func (r Result) Audit() Verdict {
	switch {
	case r.Staged == nil || r.Verdict == Deny:
		return Allow
	case r.Verdict == Allow:
		return r.Staged.Verdict
	default:
		return r.Staged.Verdict.or(Unknown) // if it passes now is not known
	}
}

// Decision is what the policies of one end of a flow say about it.
type Decision struct {
	Verdict Verdict
	// Isolated tells whether any policy selects the pod for this direction.
	Isolated bool
	// Policies that isolate the pod, sorted by name.
	Policies []types.NamespacedName
	// Staged are the staged ones of Policies.
	Staged []types.NamespacedName
	// AllowedBy is the first rule, in the order of Policies, that allows the flow. It is nil when
	// none does, also when the flow passes without one.
	AllowedBy *RuleRef
	// Reason says in a sentence why, without the verdict.
	Reason string
	// Problems are the parts of Policies that cannot be read and so match nothing, each as
	// "namespace/policy path: what is wrong".
	Problems []string
}

// RuleRef points at the part of a NetworkPolicy that allows a flow.
type RuleRef struct {
	Policy    types.NamespacedName
	Direction networkingv1.PolicyType
	// Index is the position of the rule in spec.ingress or spec.egress.
	Index int
	// Peer is the position in the rule's from or to; -1 when that list is empty: everyone.
	Peer int
	// Port is the position in the rule's ports; -1 when that list is empty: every port.
	Port int
}

// String returns the reference as text, such as "shop/web ingress[0].from[1] ports[0]".
func (r RuleRef) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Policy, rulePath(r.Direction, r.Index))
	if r.Peer >= 0 {
		fmt.Fprintf(&b, ".%s[%d]", peersField(r.Direction), r.Peer)
	}
	if r.Port >= 0 {
		fmt.Fprintf(&b, " ports[%d]", r.Port)
	}
	return b.String()
}

// String explains the result in one line or two, without a final newline: the directions that deny
// a denied flow, those that leave an unknown flow open, both of an allowed flow.
func (r Result) String() string {
	word := map[Verdict]string{Allow: "allowed", Deny: "denied", Unknown: "unknown"}[r.Verdict]
	var lines []string
	for _, d := range []Decision{r.Egress, r.Ingress} {
		line := word + ": " + d.Reason
		if d.Verdict != r.Verdict || len(lines) > 0 && lines[0] == line {
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// String returns the endpoint's pod as "namespace/name", or else its address.
func (e Endpoint) String() string {
	switch {
	case e.Pod != (types.NamespacedName{}):
		return e.Pod.String()
	case e.Address.IsValid():
		return e.Address.String()
	default:
		return "nobody"
	}
}

// directionWord is how a direction is written in fields and sentences.
func directionWord(direction networkingv1.PolicyType) string {
	return strings.ToLower(string(direction))
}

func rulePath(direction networkingv1.PolicyType, index int) string {
	return fmt.Sprintf("%s[%d]", directionWord(direction), index)
}

// peersField is the name of the field that lists a rule's peers.
func peersField(direction networkingv1.PolicyType) string {
	if direction == networkingv1.PolicyTypeIngress {
		return "from"
	}
	return "to"
}
