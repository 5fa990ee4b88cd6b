package model

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
)

// Port is a port of a protocol, or a range of ports if End is not 0.
type Port struct {
	Protocol corev1.Protocol
	// Start and End are numbers from 1 to 65535, both included.
	Start, End int32
}

// NewPort returns a port as schemas write it: an unset protocol is TCP, and a range of one port is that port.
func NewPort(protocol corev1.Protocol, start int32, end *int32) Port {
	port := Port{Protocol: kube.Protocol(protocol), Start: start}
	if end != nil && *end != start {
		port.End = *end
	}
	return port
}

// Last is the last number of the range.
func (p Port) Last() int32 { return max(p.Start, p.End) }

// Compare orders ports by number.
func (p Port) Compare(q Port) int {
	return cmp.Or(cmp.Compare(p.Start, q.Start), cmp.Compare(p.End, q.End), cmp.Compare(p.Protocol, q.Protocol))
}

// OfPolicy is the port as a NetworkPolicy has it.
func (p Port) OfPolicy() networkingv1.NetworkPolicyPort {
	protocol := kube.Protocol(p.Protocol)
	out := networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: ptr.To(intstr.FromInt32(p.Start))}
	if p.End != 0 {
		out.EndPort = ptr.To(p.End)
	}
	return out
}

// Ports is a set of ports. All ports are said in words, because in a NetworkPolicy an empty list of ports means all:
// nothing else may ever become one.
type Ports struct {
	All bool
	Of  []Port
}

// IsEmpty says whether there is no port in the set.
func (s Ports) IsEmpty() bool { return !s.All && len(s.Of) == 0 }

// Sorted returns the set with each port once, in the order of numbers.
func (s Ports) Sorted() Ports {
	ports := slices.Clone(s.Of)
	slices.SortFunc(ports, Port.Compare)
	return Ports{All: s.All, Of: slices.Compact(ports)}
}

// OfPolicy are the ports in the form of a NetworkPolicy: none for all. It must not be called on an empty set.
func (s Ports) OfPolicy() []networkingv1.NetworkPolicyPort {
	if s.All {
		return nil
	}
	var out []networkingv1.NetworkPolicyPort
	for _, port := range s.Of {
		out = append(out, port.OfPolicy())
	}
	return out
}

// Overlaps says whether a port is in both sets.
func (s Ports) Overlaps(other Ports) bool {
	if s.All || other.All {
		return !s.IsEmpty() && !other.IsEmpty()
	}
	return slices.ContainsFunc(s.Of, func(p Port) bool {
		return slices.ContainsFunc(other.Of, func(q Port) bool {
			return p.Protocol == q.Protocol && p.Start <= q.Last() && q.Start <= p.Last()
		})
	})
}

// HasTCP says whether any port of TCP is in the set.
func (s Ports) HasTCP() bool {
	return s.All || slices.ContainsFunc(s.Of, func(p Port) bool { return p.Protocol == corev1.ProtocolTCP })
}

// PortsOf are the ports of a tier that a rule allows: for an ingress rule the listed ports, by number or by a name that
// the tier declares, or all that the tier declares; for an egress rule the listed ports, or none if the peers bring them.
// A name that is not declared matches no port.
func (r *Rule) PortsOf(tier *v1alpha1.Tier) Ports {
	if r.Direction == v1alpha1.Egress {
		return RulePorts(nil, r.Ports, r.AllPorts)
	}
	if r.SaysPorts() {
		return RulePorts(tier.Ports, r.Ports, r.AllPorts)
	}
	var set Ports
	for _, port := range tier.Ports {
		set.Of = append(set.Of, NewPort(port.Protocol, port.Port, port.EndPort))
	}
	return set
}

// RulePorts are the ports of a list; a name is looked up among those that are declared, and stands for no port if it
// is not there.
func RulePorts(declared []v1alpha1.TierPort, list []v1alpha1.RulePort, all bool) Ports {
	set := Ports{All: all}
	for _, port := range list {
		if port.Port.Type == intstr.Int {
			set.Of = append(set.Of, NewPort(port.Protocol, port.Port.IntVal, port.EndPort))
			continue
		}
		i := slices.IndexFunc(declared, func(p v1alpha1.TierPort) bool { return p.Name == port.Port.StrVal })
		if i >= 0 {
			set.Of = append(set.Of, NewPort(declared[i].Protocol, declared[i].Port, declared[i].EndPort))
		}
	}
	return set
}
