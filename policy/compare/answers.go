package compare

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// pair is two classes, and a connection between two members.
type pair struct {
	from, to *class
	flow     reach.Flow
}

var protocols = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}

// byFlow asks both states about each range of ports.
func (c *comparison) byFlow(p pair, protocol corev1.Protocol) []answer {
	return c.ask(p, protocol, p.points(protocol), func(of *reach.Evaluator, f reach.Flow) reach.Verdict { return of.Allowed(f).Verdict })
}

func (c *comparison) ask(p pair, protocol corev1.Protocol, points []int32, of func(*reach.Evaluator, reach.Flow) reach.Verdict) []answer {
	var out []answer
	flow := p.flow
	flow.Protocol = protocol
	for _, flow.Port = range points {
		c.result.Asked++
		a := answer{first: flow.Port}
		for i, s := range c.states {
			a.verdicts[i] = of(s.evaluator, flow)
		}
		out = append(out, a)
	}
	return out
}

// byHalves puts the answers of both ends' policies together.
func (c *comparison) byHalves(p pair, protocol corev1.Protocol) []answer {
	egress := c.halfAnswers(p, protocol, networkingv1.PolicyTypeEgress)
	ingress := c.halfAnswers(p, protocol, networkingv1.PolicyTypeIngress)
	var out []answer
	for len(egress) > 0 && len(ingress) > 0 {
		a := answer{first: max(egress[0].first, ingress[0].first)}
		for i := range a.verdicts {
			a.verdicts[i] = both(egress[0].verdicts[i], ingress[0].verdicts[i])
		}
		out = append(out, a)
		nextEgress, nextIngress := end(egress), end(ingress)
		if nextEgress <= nextIngress {
			egress = egress[1:]
		}
		if nextIngress <= nextEgress {
			ingress = ingress[1:]
		}
	}
	return out
}

// end is the first port that the first answer is not about.
func end(answers []answer) int32 {
	if len(answers) > 1 {
		return answers[1].first
	}
	return lastPort + 1
}

// both is the verdict of two halves.
func both(a, b reach.Verdict) reach.Verdict {
	switch {
	case a == reach.Deny || b == reach.Deny:
		return reach.Deny
	case a == reach.Allow && b == reach.Allow:
		return reach.Allow
	default:
		return reach.Unknown
	}
}

// halfAnswers are what the policies of one end say of connections with the other. All ends that match the same of what
// they allow are one question.
func (c *comparison) halfAnswers(p pair, protocol corev1.Protocol, direction networkingv1.PolicyType) []answer {
	subject, other := p.from, p.to
	if direction == networkingv1.PolicyTypeIngress {
		subject, other = p.to, p.from
	}
	of := func(of *reach.Evaluator, f reach.Flow) reach.Verdict { return of.Half(direction, f).Verdict }
	h := subject.halves[direction]
	if h == nil { // no policy is about it
		return []answer{{1, [2]reach.Verdict{reach.Allow, reach.Allow}}}
	}
	key := string(protocol) + c.matches(h, p, other, direction)
	answers, known := h.answers[key]
	if !known {
		answers = c.ask(p, protocol, p.points(protocol, direction), of)
		h.answers[key] = answers
	}
	return answers
}

// matches is everything that the policies of one end may make of the other: the clauses that it matches, and what
// clauses cannot tell.
func (c *comparison) matches(h *half, p pair, other *class, direction networkingv1.PolicyType) string {
	if other.pod == nil {
		return other.members[0].String()
	}
	key := fmt.Append(nil, p.from == p.to, other.unknown, "|")
	namespace, known := c.namespaces[other.pod.Namespace]
	if !known && !h.namespaces { // nothing but its name is asked of it
		namespace, known = labels.Set{corev1.LabelMetadataName: other.pod.Namespace}, true
	}
	if !known { // it may have any labels, and is told by its name
		key = fmt.Append(key, other.pod.Namespace, "|")
	}
	if len(other.unknown) > 0 { // a clause that asks for one of these may match, if the rest of it does
		key = append(key, labels.Set(other.pod.Labels).String()...)
	}
	for i, clause := range h.clauses {
		if (!known || clause.Box.Match(connset.Namespace, namespace)) && clause.Box.Match(connset.Peer, other.pod.Labels) {
			key = fmt.Append(key, i, ",")
		}
	}
	key = append(key, '|')
	key = append(key, c.keys.beside(other.pod, direction == networkingv1.PolicyTypeEgress)...)
	return string(key)
}

const lastPort = 65535

// points are the ports at which the policies of the ends in some directions may change their mind, both without any;
// sorted, from 1.
func (p pair) points(protocol corev1.Protocol, of ...networkingv1.PolicyType) []int32 {
	if len(of) == 0 {
		of = directions
	}
	points := []int32{1}
	for _, direction := range of {
		subject := p.from
		if direction == networkingv1.PolicyTypeIngress {
			subject = p.to
		}
		if h := subject.halves[direction]; h != nil {
			points = append(points, h.points[protocol]...)
		}
	}
	if p.to.pod != nil {
		for _, port := range kube.Ports(p.to.pod) {
			if kube.Protocol(port.Protocol) == protocol {
				points = append(points, port.ContainerPort, port.ContainerPort+1)
			}
		}
	}
	points = slices.DeleteFunc(points, func(port int32) bool { return port < 1 || port > lastPort })
	slices.Sort(points)
	return slices.Compact(points)
}

// onPorts notes where both states have different answers.
func (c *comparison) onPorts(p pair, protocol corev1.Protocol, answers []answer) {
	var open *Change
	for i, a := range answers {
		last := end(answers[i:]) - 1
		before, after := a.verdicts[0], a.verdicts[1]
		if before == reach.Unknown || after == reach.Unknown {
			c.result.Open = append(c.result.Open, Ends{p.from.members, p.to.members, protocol, a.first, last})
		}
		switch {
		case before == after:
			open = nil
		case before == reach.Unknown || after == reach.Unknown:
			c.result.Unknown++
			open = nil
		case open != nil && open.Opened == (after == reach.Allow):
			open.Last = last
		default:
			flow := p.flow
			flow.Protocol, flow.Port = protocol, a.first
			c.result.Changes = append(c.result.Changes, Change{
				From: p.from.members, To: p.to.members, Protocol: protocol, First: a.first, Last: last, Opened: after == reach.Allow,
				Before: c.states[0].evaluator.Allowed(flow), After: c.states[1].evaluator.Allowed(flow),
			})
			open = &c.result.Changes[len(c.result.Changes)-1]
		}
	}
}
