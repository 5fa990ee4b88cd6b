package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// portSet is what an arrow says about ports.
type portSet struct {
	all bool
	// theirs are the ports that a peer brings, whatever they are.
	theirs bool
	of     []expand.Port
}

var anyPort = portSet{all: true}

func (s portSet) empty() bool { return !s.all && !s.theirs && len(s.of) == 0 }

func (s portSet) and(other portSet) portSet {
	return portSet{all: s.all || other.all, theirs: s.theirs || other.theirs, of: slices.Concat(s.of, other.of)}
}

// common are the ports of both sets.
func (s portSet) common(other portSet) portSet {
	switch {
	case s.all || s.theirs:
		return other
	case other.all || other.theirs:
		return s
	}
	var both portSet
	for _, a := range s.of {
		for _, b := range other.of {
			start, end := max(a.Start, b.Start), min(cmp.Or(a.End, a.Start), cmp.Or(b.End, b.Start))
			if a.Protocol == b.Protocol && start <= end {
				both.of = append(both.of, newPort(a.Protocol, start, &end))
			}
		}
	}
	return both
}

// String is a list such as "53/UDP, 8080, 30000–32767".
func (s portSet) String() string {
	if s.all {
		return "any port"
	}
	ports := slices.Clone(s.of)
	slices.SortFunc(ports, func(a, b expand.Port) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End), cmp.Compare(a.Protocol, b.Protocol))
	})
	var texts []string
	for _, port := range slices.Compact(ports) {
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

// ingressPorts are a rule's ports, or all that the tier declares.
func ingressPorts(tier *v1alpha1.Tier, rule v1alpha1.IngressRule) portSet {
	if len(rule.Ports) > 0 || rule.AllPorts {
		return rulePorts(tier.Ports, rule.Ports, rule.AllPorts)
	}
	var set portSet
	for _, port := range tier.Ports {
		set.of = append(set.of, newPort(port.Protocol, port.Port, port.EndPort))
	}
	return set
}

// egressPorts are a rule's ports, or those that its peers bring.
func egressPorts(rule v1alpha1.EgressRule) portSet {
	set := rulePorts(nil, rule.Ports, rule.AllPorts)
	set.theirs = len(rule.Ports) == 0 && !rule.AllPorts
	return set
}

// rulePorts looks names up among the declared ports.
func rulePorts(declared []v1alpha1.TierPort, list []v1alpha1.RulePort, all bool) portSet {
	set := portSet{all: all}
	for _, port := range list {
		if port.Port.Type == intstr.Int {
			set.of = append(set.of, newPort(port.Protocol, port.Port.IntVal, port.EndPort))
			continue
		}
		for _, d := range declared {
			if d.Name == port.Port.StrVal {
				set.of = append(set.of, newPort(d.Protocol, d.Port, d.EndPort))
			}
		}
	}
	return set
}

func newPort(protocol corev1.Protocol, start int32, end *int32) expand.Port {
	port := expand.Port{Protocol: cmp.Or(protocol, corev1.ProtocolTCP), Start: start}
	if end != nil && *end != start {
		port.End = *end
	}
	return port
}
