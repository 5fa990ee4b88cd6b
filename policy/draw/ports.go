package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// portSet is what an arrow says about ports.
type portSet struct {
	model.Ports
	// theirs are the ports that a peer brings, which may be any.
	theirs bool
}

var anyPort = portSet{Ports: model.Ports{All: true}}

func (s portSet) empty() bool { return !s.theirs && s.IsEmpty() }

func (s portSet) and(other portSet) portSet {
	return portSet{model.Ports{All: s.All || other.All, Of: slices.Concat(s.Of, other.Of)}, s.theirs || other.theirs}
}

// portsOf are a rule's ports for a tier, or the ports that its peers bring.
func portsOf(rule *model.Rule, tier *v1alpha1.Tier) portSet {
	return portSet{rule.PortsOf(tier), rule.Direction == v1alpha1.Egress && !rule.SaysPorts()}
}

// common are the ports of both sets.
func (s portSet) common(other portSet) portSet {
	switch {
	case s.All || s.theirs:
		return other
	case other.All || other.theirs:
		return s
	}
	var both portSet
	for _, a := range s.Of {
		for _, b := range other.Of {
			start, end := max(a.Start, b.Start), min(cmp.Or(a.End, a.Start), cmp.Or(b.End, b.Start))
			if a.Protocol == b.Protocol && start <= end {
				both.Of = append(both.Of, model.NewPort(a.Protocol, start, &end))
			}
		}
	}
	return both
}

// String is a list such as "53/UDP, 8080, 30000–32767".
func (s portSet) String() string {
	if s.All {
		return "any port"
	}
	var texts []string
	for _, port := range s.Sorted().Of {
		text := fmt.Sprint(port.Start)
		if port.End != 0 {
			text += fmt.Sprintf("–%d", port.End)
		}
		if port.Protocol != corev1.ProtocolTCP {
			text += "/" + string(port.Protocol)
		}
		texts = append(texts, text)
	}
	if s.theirs {
		texts = append(texts, "its ports")
	}
	return strings.Join(texts, ", ")
}
