package cli

import (
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/assertion"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/rule"
)

// flows are the connections of a case between two ends: of a range of ports, one for each at which policies may change
// their mind.
func (t *tester) flows(c testCase, from, to scene.End) ([]reach.Flow, error) {
	if len(c.Ports) == 0 {
		return t.flowsAt("", "", from, to)
	}
	var flows []reach.Flow
	for _, port := range c.Ports {
		span, err := port.Span()
		if err != nil {
			return nil, err
		}
		ports := []string{span.Name}
		if span.Name == "" {
			ports = ports[:0]
			for _, n := range t.within(span) {
				ports = append(ports, strconv.Itoa(n))
			}
		}
		for _, one := range ports {
			more, err := t.flowsAt(one, span.Protocol, from, to)
			if err != nil {
				return nil, err
			}
			flows = append(flows, more...)
		}
	}
	return flows, nil
}

func (t *tester) flowsAt(port, protocol string, from, to scene.End) ([]reach.Flow, error) {
	o := ask.Options{Port: port, Protocol: protocol, PortWord: "ports"}
	if len(from.Endpoints) == 0 {
		return nil, nil // nobody
	}
	return o.Flows(from, to)
}

// within are the first port of a range, and those at which policies may change their mind.
func (t *tester) within(span assertion.Span) []int {
	out := []int{span.First}
	for _, n := range t.points {
		if n > span.First && n <= span.Last {
			out = append(out, n)
		}
	}
	return out
}

// pointsOf are the ports at which policies may change their mind: where a range begins, and has ended, and those that
// containers declare.
func pointsOf(snapshot reach.Snapshot) []int {
	policies := make([]*rule.Policy, 0, len(snapshot.Policies))
	for _, policy := range snapshot.Policies {
		read := kube.ReadPolicy(types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name}, &policy.Spec)
		policies = append(policies, &read)
	}
	var points []int
	for _, edges := range rule.Ask(policies...).Edges {
		for _, edge := range edges {
			points = append(points, int(edge))
		}
	}
	for _, pod := range snapshot.Pods {
		for _, port := range kube.Ports(pod) {
			points = append(points, int(port.ContainerPort), int(port.ContainerPort)+1)
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}
