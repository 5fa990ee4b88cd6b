package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/apptier/apptier/policy/reach"
)

// answer is what policies make of a connection, and of others like it.
type answer struct {
	flow   reach.Flow
	result reach.Result
	// pairs is how many pairs of pods have this answer, for the same reasons.
	pairs int
}

// answersTo evaluates flows. Those to which the same policies and rules say the same are one answer;
// what is denied comes first.
func answersTo(evaluator *reach.Evaluator, flows []reach.Flow) []answer {
	var answers []answer
	index := map[string]int{}
	for _, flow := range flows {
		result := evaluator.Allowed(flow)
		key := fmt.Sprint(flow.Protocol, flow.Port, keyOfDecision(result.Egress), keyOfDecision(result.Ingress))
		if i, found := index[key]; found {
			answers[i].pairs++
			continue
		}
		index[key] = len(answers)
		answers = append(answers, answer{flow, result, 1})
	}
	sortAnswers(answers)
	return answers
}

// sortAnswers puts first what is denied, and then what is not known.
func sortAnswers(answers []answer) {
	rank := map[reach.Verdict]int{reach.Deny: 0, reach.Unknown: 1, reach.Allow: 2}
	slices.SortStableFunc(answers, func(a, b answer) int { return cmp.Compare(rank[a.result.Verdict], rank[b.result.Verdict]) })
}

// keyOfDecision is what a decision says but for the names of the ends.
func keyOfDecision(d reach.Decision) string {
	by := ""
	if d.AllowedBy != nil {
		by = d.AllowedBy.String()
	}
	return fmt.Sprint(d.Verdict, d.Isolated, d.Policies, by, d.Problems)
}

// verdictOf is that of all answers: a connection is denied if any pair of pods is.
func verdictOf(answers []answer) reach.Verdict { return answers[0].result.Verdict }

// errorOf is how a command ends that gave these answers.
func errorOf(verdict reach.Verdict) error {
	switch verdict {
	case reach.Allow:
		return nil
	case reach.Deny:
		return &AnswerError{Code: codeNegative, Answer: "denied"}
	default:
		return &AnswerError{Code: codeUnknown, Answer: "unknown"}
	}
}

func verdictWord(verdict reach.Verdict) string {
	switch verdict {
	case reach.Allow:
		return "allowed"
	case reach.Deny:
		return "denied"
	default:
		return "unknown"
	}
}

// headline says what an answer is, in a line.
func (q *asked) headline(a answer) string {
	text := fmt.Sprintf("%s: %s -> %s, %s %d", verdictWord(a.result.Verdict),
		q.endWords(a.flow.Source), q.endWords(a.flow.Destination), a.flow.Protocol, a.flow.Port)
	switch {
	case a.pairs == 1 || len(q.internet) > 0:
		return text
	case a.pairs == 2:
		return text + " (and another pair of pods)"
	default:
		return fmt.Sprintf("%s (and %d more pairs of pods)", text, a.pairs-1)
	}
}

// endWords names an end: the internet by this name, and by an address of it where others have other
// answers.
func (q *asked) endWords(e reach.Endpoint) string {
	switch {
	case !slices.Contains(q.internet, e):
		return q.asTyped(e.String())
	case len(q.answers) == 1:
		return internetKind
	default:
		return internetKind + ", such as " + e.String() + ","
	}
}

// asTyped has a text call the pods that stand in for an end as the end was called.
func (q *asked) asTyped(text string) string {
	var pairs []string
	for _, e := range q.standIns {
		name := strings.ToLower(e.kind) + "/" + e.Name
		if e.tier != "" {
			name += "/" + e.tier
		}
		for _, pod := range e.standIns {
			if rest, found := strings.CutPrefix(pod.Name, name); found {
				pairs = append(pairs, pod.Namespace+"/"+pod.Name, e.text+rest)
			}
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// half is one direction of a connection.
type half struct {
	name     string
	end      reach.Endpoint
	decision reach.Decision
	rules    []reach.RuleVerdict
}

func (a answer) halves(evaluator *reach.Evaluator) []half {
	egress, ingress := evaluator.Rules(a.flow)
	return []half{{"egress", a.flow.Source, a.result.Egress, egress}, {"ingress", a.flow.Destination, a.result.Ingress, ingress}}
}
