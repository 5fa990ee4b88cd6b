package expand

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
)

// ingressPorts are a rule's ports, or all that the tier declares.
func ingressPorts(tier *v1alpha1.Tier, rule *v1alpha1.IngressRule) portSet {
	if len(rule.Ports) > 0 || rule.AllPorts {
		return rulePorts(tier.Ports, rule.Ports, rule.AllPorts)
	}
	var set portSet
	for _, port := range tier.Ports {
		set.of = append(set.of, declaredPort(port))
	}
	return set
}

// rulePorts are a rule's ports; a name is looked up among those declared, and stands for no port
// if it is not there.
func rulePorts(declared []v1alpha1.TierPort, list []v1alpha1.RulePort, all bool) portSet {
	set := portSet{all: all}
	for _, port := range list {
		if port.Port.Type == intstr.Int {
			set.of = append(set.of, numericPort(port.Protocol, port.Port.IntVal, port.EndPort))
			continue
		}
		i := slices.IndexFunc(declared, func(p v1alpha1.TierPort) bool { return p.Name == port.Port.StrVal })
		if i >= 0 {
			set.of = append(set.of, declaredPort(declared[i]))
		}
	}
	return set
}

func declaredPort(port v1alpha1.TierPort) Port {
	return numericPort(port.Protocol, port.Port, port.EndPort)
}

func numericPort(protocol corev1.Protocol, start int32, end *int32) Port {
	if protocol == "" {
		protocol = corev1.ProtocolTCP
	}
	port := Port{Protocol: protocol, Start: start}
	if end != nil && *end != start {
		port.End = *end
	}
	return port
}

// overlap says whether a port is in both sets.
func overlap(a, b portSet) bool {
	if a.all || b.all {
		return a.all && b.all || len(a.of) > 0 || len(b.of) > 0
	}
	return slices.ContainsFunc(a.of, func(p Port) bool {
		return slices.ContainsFunc(b.of, func(q Port) bool {
			return p.Protocol == q.Protocol && p.Start <= q.last() && q.Start <= p.last()
		})
	})
}

func (p Port) last() int32 { return max(p.Start, p.End) }

// hasTCP says whether a set holds any port of TCP.
func (s portSet) hasTCP() bool {
	return s.all || slices.ContainsFunc(s.of, func(p Port) bool { return p.Protocol == corev1.ProtocolTCP })
}
