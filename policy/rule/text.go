package rule

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// String returns the tier's name.
func (t Tier) String() string { return [...]string{"staged", "admin", "namespace", "baseline"}[t] }

// String returns the action in a word.
func (a Action) String() string { return [...]string{"deny", "allow", "pass", "audit"}[a] }

// String returns all that the policy says, a line for each rule and each problem. Two policies with the same text say the same.
func (p *Policy) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of tier %s is about %s\n", p.Name, p.Tier, p.Subject)
	for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
		for _, r := range p.Rules(direction) {
			fmt.Fprintf(&b, "%s %s\n", strings.ToLower(string(direction)), r)
		}
	}
	for _, problem := range p.Problems {
		fmt.Fprintf(&b, "%s: %v\n", problem.Path, problem.Err)
	}
	return b.String()
}

// String returns the rule in a line.
func (r Rule) String() string {
	where := "implicit"
	if r.Index != Implicit {
		where = fmt.Sprintf("[%d]", r.Index)
	}
	return fmt.Sprintf("%s %d: %s %s at %s", where, r.Order, r.Action, r.Peers, r.Ports)
}

// String returns the peers, joined by "or".
func (p Peers) String() string {
	if p.Everyone {
		return "everyone"
	}
	return anyOf(p.Of, "nobody")
}

// String returns the ports, joined by "or".
func (p Ports) String() string {
	if p.Every {
		return "every port"
	}
	return anyOf(p.Of, "no port")
}

func anyOf[T fmt.Stringer](all []T, none string) string {
	texts := make([]string, 0, len(all))
	for _, one := range all {
		texts = append(texts, one.String())
	}
	if len(texts) == 0 {
		return none
	}
	return strings.Join(texts, " or ")
}

// String returns the peer's block or its selectors.
func (p Peer) String() string {
	if p.Block.CIDR.IsValid() {
		return p.Block.String()
	}
	return p.Pods.String()
}

// String returns the range, and what it leaves out.
func (b Block) String() string {
	text := b.CIDR.String()
	for i, except := range b.Except {
		text += [...]string{" except ", ", "}[min(i, 1)] + except.String()
	}
	return text
}

// String returns the selectors.
func (p Pods) String() string {
	selected := func(s labels.Selector) string {
		if s.Empty() {
			return "all"
		}
		return s.String()
	}
	switch {
	case p.Labels == nil:
		return "no pod"
	case p.Namespaces == nil:
		return fmt.Sprintf("pods (%s) of namespace %s", selected(p.Labels), p.Namespace)
	default:
		return fmt.Sprintf("pods (%s) of namespaces (%s)", selected(p.Labels), selected(p.Namespaces))
	}
}

// String returns the port, such as TCP 80-90 or UDP dns.
func (p Port) String() string {
	switch {
	case p.Name != "":
		return fmt.Sprintf("%s %s", p.Protocol, p.Name)
	case p.Protocol == "":
		return "no port"
	default:
		return fmt.Sprintf("%s %d-%d", p.Protocol, p.First, p.Last)
	}
}
