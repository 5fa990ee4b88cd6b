package reach

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/rule"
)

// decide says what the policies of subject, one end of the flow, make of it; other is its other end. Of
// several pods that hold the subject's address, each must let the flow pass.
func (e *Evaluator) decide(direction networkingv1.PolicyType, subject, other party, flow Flow) Decision {
	if subject.pod == nil {
		return Decision{Verdict: Allow, Reason: fmt.Sprintf("%s is not on the pod network, where policies apply", subject.name)}
	}
	to := destinationOf(direction, subject, other, flow)
	self := isSelf(subject, other, direction == networkingv1.PolicyTypeEgress)
	var strictest Decision
	for i, one := range subject.each() {
		d := e.decideFor(direction, one, other, to, self)
		if i == 0 || strictest.Verdict.and(d.Verdict) != strictest.Verdict || !strictest.Isolated && d.Verdict == strictest.Verdict {
			strictest = d
		}
	}
	return strictest
}

// decideFor says what the policies of one pod make of a flow.
func (e *Evaluator) decideFor(direction networkingv1.PolicyType, subject, other party, to destination, self bool) Decision {
	d, isolating, maybe := e.isolation(direction, subject.pod)
	node := e.ownNode(subject.pod, other)
	switch {
	case self:
		return d.because(Allow, "a pod always reaches itself")
	case node == Allow:
		return d.because(Allow, fmt.Sprintf("%s is the node of %s, or on its network", other.name, subject.name))
	case !d.Isolated && len(maybe) == 0:
		return d.because(Allow, fmt.Sprintf("no policy isolates %s of %s", directionWord(direction), subject.name))
	case len(maybe) > 0:
		d = d.byRulesOf(maybe, direction, isolating, subject, other, to)
	default:
		d = d.byRules(direction, isolating, subject, other, to)
	}
	if d.Verdict == Deny && node == Unknown {
		return d.because(Unknown, fmt.Sprintf("whether %s is the node of %s is not known", other.name, subject.name))
	}
	return d
}

// destinationOf is where a flow goes, as seen from the subject of a direction's policies.
func destinationOf(direction networkingv1.PolicyType, subject, other party, flow Flow) destination {
	to := destination{protocol: orTCP(flow.Protocol), port: flow.Port, pods: other.pods()}
	if direction == networkingv1.PolicyTypeIngress {
		to.pods = subject.pods()
	}
	return to
}

// isolation starts a decision: which policies isolate the pod in this direction, and which may, by
// labels that are not known.
func (e *Evaluator) isolation(direction networkingv1.PolicyType, pod *corev1.Pod) (d Decision, isolating, maybe []*policy) {
	unknown := e.unknown[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}]
	for _, p := range e.policies[pod.Namespace] {
		switch p.selects(pod, unknown, direction) {
		case Deny:
			continue
		case Unknown:
			maybe = append(maybe, p)
			continue
		case Allow:
		}
		isolating = append(isolating, p)
		d.Isolated = true
		d.Policies = append(d.Policies, p.Name)
		if p.Tier == rule.Staged {
			d.Staged = append(d.Staged, p.Name)
		}
		d.Problems = append(d.Problems, p.problems(direction)...)
	}
	return d, isolating, maybe
}

// byRulesOf decides about a pod that some further policies may isolate. The flow is certainly allowed if
// the policies that certainly isolate the pod allow it, or, if there are none, if each of the others
// does; and it is certainly denied if some certainly isolate it and no rule of any allows it.
func (d Decision) byRulesOf(
	maybe []*policy, direction networkingv1.PolicyType, isolating []*policy, subject, other party, to destination,
) Decision {
	certain := d.byRules(direction, isolating, subject, other, to)
	if d.Isolated && certain.Verdict != Deny {
		return certain
	}
	all, any := Allow, Deny
	var by *RuleRef
	for _, p := range maybe {
		verdict, rule := p.allows(direction, other, to)
		all, any = all.and(verdict), any.or(verdict)
		if by == nil {
			by = rule
		}
	}
	switch {
	case d.Isolated && any == Deny:
		return certain
	case !d.Isolated && all == Allow:
		d.AllowedBy = by
		return d.because(Allow, fmt.Sprintf("%s of %s: every policy that may isolate it, such as %s, allows %s", directionWord(direction),
			subject.name, by, describe(direction, other, to)))
	default:
		return d.because(Unknown, fmt.Sprintf("whether %s isolates %s of %s depends on labels that only a cluster knows (%s)",
			maybe[0].Name, directionWord(direction), subject.name, strings.Join(subject.unknown, ", ")))
	}
}

// byRules decides about an isolated pod: what any rule of any isolating policy allows is allowed.
func (d Decision) byRules(
	direction networkingv1.PolicyType, isolating []*policy, subject, other party, to destination,
) Decision {
	traffic := describe(direction, other, to)
	var maybe *RuleRef
	for _, p := range isolating {
		verdict, by := p.allows(direction, other, to)
		if verdict == Allow {
			d.AllowedBy = by
			return d.because(Allow, fmt.Sprintf("%s of %s: %s allows %s", directionWord(direction), subject.name, by, traffic))
		}
		if verdict == Unknown && maybe == nil {
			maybe = by
		}
	}
	if maybe != nil {
		return d.because(Unknown, fmt.Sprintf("%s of %s: %s allows %s or not, by %s",
			directionWord(direction), subject.name, maybe, traffic, unknownOf(other)))
	}
	return d.because(Deny, fmt.Sprintf("%s of %s is isolated by %s and no rule allows %s",
		directionWord(direction), subject.name, d.policyList(), traffic))
}

// unknownOf says what peers may ask of a party and the snapshot does not hold.
func unknownOf(other party) string {
	const address = "an address that is not known yet"
	if other.pod != nil && len(other.unknown) > 0 {
		return "labels that only a cluster knows (" + strings.Join(other.unknown, ", ") + ")"
	}
	if other.pod == nil || other.namespaceKnown {
		return address
	}
	text := fmt.Sprintf("labels of namespace %s that are not known", other.pod.Namespace)
	if !other.address.IsValid() {
		text += ", or " + address
	}
	return text
}

// because completes a decision.
func (d Decision) because(verdict Verdict, reason string) Decision {
	d.Verdict, d.Reason = verdict, reason
	return d
}

// policyList names the isolating policies for a sentence, of many only the first few.
func (d Decision) policyList() string {
	const most = 3
	var text string
	for i, name := range d.Policies {
		switch {
		case i == most:
			return fmt.Sprintf("%s and %d more", text, len(d.Policies)-most)
		case i > 0:
			text += ", "
		}
		text += name.String()
		if slices.Contains(d.Staged, name) {
			text += " (staged)"
		}
	}
	return text
}

// describe names the traffic of a direction for a sentence, such as "TCP 80 from shop/web-0".
func describe(direction networkingv1.PolicyType, other party, to destination) string {
	preposition := "to"
	if direction == networkingv1.PolicyTypeIngress {
		preposition = "from"
	}
	if !hasPorts(to.protocol) {
		return fmt.Sprintf("%s %s %s", to.protocol, preposition, other.name)
	}
	return fmt.Sprintf("%s %d %s %s", to.protocol, to.port, preposition, other.name)
}
