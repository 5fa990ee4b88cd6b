package ask

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/reach"
)

// What is printed of one end as JSON.
type (
	podsJSON struct {
		Pods []podJSON `json:"pods"`
	}
	podJSON struct {
		Pod string `json:"pod"`
		// Like is how many more pods have the same policies.
		Like    int           `json:"like"`
		Ingress directionJSON `json:"ingress"`
		Egress  directionJSON `json:"egress"`
	}
	directionJSON struct {
		// Isolated says whether any policy selects the pod; otherwise everything is allowed.
		Isolated bool            `json:"isolated"`
		Policies []string        `json:"policies"`
		Rules    []rulePartsJSON `json:"rules"`
	}
	rulePartsJSON struct {
		ruleJSON
		Peers []string `json:"peers"`
		Ports []string `json:"ports"`
	}
)

// explainOne says who may reach an end, and what it may reach.
func (o *Options) explainOne(ctx context.Context, streams genericiooptions.IOStreams, s *scene.Scene, e scene.End) error {
	if len(e.Pods) == 0 {
		return fmt.Errorf("%s: policies are about pods, and there is no such pod", e.Text)
	}
	q, err := o.Look(ctx, streams, s, []scene.End{e})
	if err != nil {
		return err
	}
	report.WriteFindings(streams.ErrOut, s.NotJudged())
	var pods []podJSON
	index := map[string]int{}
	for _, endpoint := range e.Endpoints {
		p := podJSON{
			Pod:     endpoint.String(),
			Ingress: q.direction(endpoint, networkingv1.PolicyTypeIngress),
			Egress:  q.direction(endpoint, networkingv1.PolicyTypeEgress),
		}
		key := fmt.Sprint(p.Ingress.Policies, p.Egress.Policies)
		if i, found := index[key]; found {
			pods[i].Like++
			continue
		}
		index[key] = len(pods)
		pods = append(pods, p)
	}
	if o.output == "json" {
		return report.WriteJSON(streams.Out, podsJSON{pods})
	}
	for _, p := range pods {
		like := ""
		switch {
		case p.Like == 1:
			like = " (and another pod)"
		case p.Like > 1:
			like = fmt.Sprintf(" (and %d more pods)", p.Like)
		}
		fmt.Fprintln(streams.Out, p.Pod+like)
		p.Ingress.write(streams.Out, "ingress", "anyone may reach it on every port", "nobody may reach it")
		p.Egress.write(streams.Out, "egress", "it may reach anyone on every port", "it may reach nobody")
	}
	return nil
}

// direction collects the rules of the policies that isolate a pod.
func (q *Question) direction(endpoint reach.Endpoint, direction networkingv1.PolicyType) directionJSON {
	policies, isolated := q.Evaluator.Isolating(endpoint.Pod, direction)
	out := directionJSON{Isolated: isolated, Policies: q.policiesWords(policies), Rules: []rulePartsJSON{}}
	for _, name := range policies {
		for _, policy := range q.Snapshot.Policies {
			if policy.Namespace != name.Namespace || policy.Name != name.Name {
				continue
			}
			n := len(policy.Spec.Ingress)
			if direction == networkingv1.PolicyTypeEgress {
				n = len(policy.Spec.Egress)
			}
			for i := range n {
				peers, ports := q.ruleWords(reach.RuleVerdict{Policy: name, Direction: direction, Index: i})
				out.Rules = append(out.Rules, rulePartsJSON{q.ruleJSON(name, direction, i, -1), peers, ports})
			}
		}
	}
	return out
}

func (d directionJSON) write(out io.Writer, name, open, closed string) {
	switch {
	case !d.Isolated:
		fmt.Fprintf(out, "  %s: no policy isolates it: %s\n", name, open)
		return
	case len(d.Rules) == 0:
		fmt.Fprintf(out, "  %s: isolated by %s: %s\n", name, report.Few(d.Policies), closed)
		return
	}
	fmt.Fprintf(out, "  %s: isolated by %s, allowed is:\n", name, report.Few(d.Policies))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "    %s\tPORTS\tPOLICY\tRULE\n", peersHeading(name))
	for _, r := range d.Rules {
		fmt.Fprintf(table, "    %s\t%s\t%s\t%s\n", report.Few(r.Peers), report.Few(r.Ports), r.policyColumn(), r.ruleColumn())
	}
	_ = table.Flush() // writing to a terminal or a buffer
}
