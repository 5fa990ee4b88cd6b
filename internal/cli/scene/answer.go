package scene

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apptier/apptier/policy/reach"
)

// Answer is what policies make of a connection, and of others like it.
type Answer struct {
	Flow   reach.Flow
	Result reach.Result
	// pairs is how many pairs of pods have this answer, for the same reasons.
	Pairs int
}

// AnswersTo evaluates flows. Those to which the same policies and rules say the same are one answer;
// what is denied comes first.
func AnswersTo(evaluator *reach.Evaluator, flows []reach.Flow) []Answer {
	var answers []Answer
	index := map[string]int{}
	for _, flow := range flows {
		result := evaluator.Allowed(flow)
		key := fmt.Sprint(flow.Protocol, flow.Port, keyOfDecision(result.Egress), keyOfDecision(result.Ingress))
		if result.Staged != nil {
			key += keyOfDecision(result.Staged.Egress) + keyOfDecision(result.Staged.Ingress)
		}
		if i, found := index[key]; found {
			answers[i].Pairs++
			continue
		}
		index[key] = len(answers)
		answers = append(answers, Answer{flow, result, 1})
	}
	sortAnswers(answers)
	return answers
}

// sortAnswers puts first what is denied, and then what is not known.
func sortAnswers(answers []Answer) {
	rank := map[reach.Verdict]int{reach.Deny: 0, reach.Unknown: 1, reach.Allow: 2}
	slices.SortStableFunc(answers, func(a, b Answer) int { return cmp.Compare(rank[a.Result.Verdict], rank[b.Result.Verdict]) })
}

// keyOfDecision is what a decision says but for the names of the ends.
func keyOfDecision(d reach.Decision) string {
	by := ""
	if d.AllowedBy != nil {
		by = d.AllowedBy.String()
	}
	return fmt.Sprint(d.Verdict, d.Isolated, d.Policies, by, d.Problems)
}

// VerdictOf is the verdict of all answers: a connection is denied if any pair of pods is.
func VerdictOf(answers []Answer) reach.Verdict { return answers[0].Result.Verdict }

// Half is one direction of a connection.
type Half struct {
	Name     string
	end      reach.Endpoint
	Decision reach.Decision
	Rules    []reach.RuleVerdict
}

// StagedHalves are both directions of what there would be with the staged policies enforced; none if there are no staged
// policies.
func (a Answer) StagedHalves() []Half {
	if a.Result.Staged == nil {
		return nil
	}
	return []Half{
		{Name: "egress", end: a.Flow.Source, Decision: a.Result.Staged.Egress},
		{Name: "ingress", end: a.Flow.Destination, Decision: a.Result.Staged.Ingress},
	}
}

// Halves are both directions of an answer, with what each rule says.
func (a Answer) Halves(evaluator *reach.Evaluator) []Half {
	egress, ingress := evaluator.Rules(a.Flow)
	return []Half{{"egress", a.Flow.Source, a.Result.Egress, egress}, {"ingress", a.Flow.Destination, a.Result.Ingress, ingress}}
}
