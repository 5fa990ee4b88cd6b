package adopt

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
)

const lastPort = 65535

// ports is a set of ports. All are every port of every protocol, which no list of ranges is.
type ports struct {
	all bool
	// of are sorted, and no two of a protocol touch.
	of []span
}

// span is a range of ports of a protocol, both ends included.
type span struct {
	protocol    corev1.Protocol
	first, last int32
}

func (s span) compare(t span) int {
	return cmp.Or(cmp.Compare(s.protocol, t.protocol), cmp.Compare(s.first, t.first), cmp.Compare(s.last, t.last))
}

func portsOf(spans ...span) ports {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, span.compare)
	var out ports
	for _, s := range spans {
		if n := len(out.of); n > 0 && out.of[n-1].protocol == s.protocol && s.first <= out.of[n-1].last+1 {
			out.of[n-1].last = max(out.of[n-1].last, s.last)
			continue
		}
		out.of = append(out.of, s)
	}
	return out
}

func (p ports) isEmpty() bool { return !p.all && len(p.of) == 0 }

func (p ports) union(q ports) ports {
	if p.all || q.all {
		return ports{all: true}
	}
	return portsOf(slices.Concat(p.of, q.of)...)
}

func (p ports) intersect(q ports) ports {
	switch {
	case p.all:
		return q
	case q.all:
		return p
	}
	var out []span
	for _, s := range p.of {
		for _, t := range q.of {
			if both := (span{s.protocol, max(s.first, t.first), min(s.last, t.last)}); s.protocol == t.protocol && both.first <= both.last {
				out = append(out, both)
			}
		}
	}
	return portsOf(out...)
}

// minus is what is left without some ports. What is left of all is all: no list says what it is.
func (p ports) minus(q ports) ports {
	switch {
	case q.all:
		return ports{}
	case p.all:
		return p
	}
	left := p.of
	for _, t := range q.of {
		var rest []span
		for _, s := range left {
			if s.protocol != t.protocol || t.last < s.first || s.last < t.first {
				rest = append(rest, s)
				continue
			}
			if s.first < t.first {
				rest = append(rest, span{s.protocol, s.first, t.first - 1})
			}
			if t.last < s.last {
				rest = append(rest, span{s.protocol, t.last + 1, s.last})
			}
		}
		left = rest
	}
	return portsOf(left...)
}

func (p ports) contains(q ports) bool { return q.minus(p).isEmpty() }

func (p ports) key() string { return fmt.Sprint(p.all, p.of) }

// mostInARow is how many neighbours are written as ports of their own.
const mostInARow = 3

// written are the ranges as people write them: by number, and a few neighbours one by one.
func (p ports) written() []span {
	var out []span
	for _, s := range p.of {
		if s.last-s.first >= mostInARow {
			out = append(out, s)
			continue
		}
		for number := s.first; number <= s.last; number++ {
			out = append(out, span{s.protocol, number, number})
		}
	}
	slices.SortFunc(out, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last), cmp.Compare(a.saidProtocol(), b.saidProtocol()))
	})
	return out
}

func (s span) end() *int32 {
	if s.first == s.last {
		return nil
	}
	return ptr.To(s.last)
}

// saidProtocol is the protocol where it is not the default.
func (s span) saidProtocol() corev1.Protocol {
	if s.protocol == corev1.ProtocolTCP {
		return ""
	}
	return s.protocol
}

func (p ports) rulePorts() []v1alpha1.RulePort {
	var out []v1alpha1.RulePort
	for _, s := range p.written() {
		out = append(out, v1alpha1.RulePort{Port: intstr.FromInt32(s.first), EndPort: s.end(), Protocol: s.saidProtocol()})
	}
	return out
}

func (p ports) tierPorts() []v1alpha1.TierPort {
	var out []v1alpha1.TierPort
	for _, s := range p.written() {
		out = append(out, v1alpha1.TierPort{Port: s.first, EndPort: s.end(), Protocol: s.saidProtocol()})
	}
	return out
}

// readPorts reads the ports of a rule. Numbers says which number a name stands for.
func readPorts(list []networkingv1.NetworkPolicyPort, numbers func(name string, protocol corev1.Protocol) (int32, error)) (ports, error) {
	if len(list) == 0 {
		return ports{all: true}, nil
	}
	var spans []span
	for _, port := range list {
		s := span{kube.Protocol(ptr.Deref(port.Protocol, "")), 1, lastPort}
		switch {
		case !slices.Contains([]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}, s.protocol):
			return ports{}, fmt.Errorf("the protocol %q is not known", s.protocol)
		case port.Port == nil && port.EndPort != nil, port.EndPort != nil && port.Port.Type == intstr.String:
			return ports{}, fmt.Errorf("an endPort needs a port that is a number")
		case port.Port == nil:
		case port.Port.Type == intstr.String:
			number, err := numbers(port.Port.StrVal, s.protocol)
			if err != nil {
				return ports{}, err
			}
			s.first, s.last = number, number
		default:
			s.first = port.Port.IntVal
			s.last = ptr.Deref(port.EndPort, s.first)
		}
		if s.first < 1 || s.last > lastPort || s.last < s.first {
			return ports{}, fmt.Errorf("%d to %d is no range of ports", s.first, s.last)
		}
		spans = append(spans, s)
	}
	return portsOf(spans...), nil
}

// policyPorts are the ports as a NetworkPolicy has them; it must not be asked of none.
func (p ports) policyPorts() []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, s := range p.of {
		out = append(out, networkingv1.NetworkPolicyPort{Protocol: ptr.To(s.protocol), Port: ptr.To(intstr.FromInt32(s.first)), EndPort: s.end()})
	}
	return out
}
