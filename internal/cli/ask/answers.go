package ask

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/reach"
)

// errorOf is how a command ends that gave these answers.
func errorOf(verdict reach.Verdict) error {
	switch verdict {
	case reach.Allow:
		return nil
	case reach.Deny:
		return &exit.AnswerError{Code: exit.Negative, Answer: "denied"}
	default:
		return &exit.AnswerError{Code: exit.Unknown, Answer: "unknown"}
	}
}

// VerdictWord is the word for a verdict that people and programs read.
func VerdictWord(verdict reach.Verdict) string {
	switch verdict {
	case reach.Allow:
		return "allowed"
	case reach.Deny:
		return "denied"
	default:
		return "unknown"
	}
}

// Headline says what an answer is, in a line.
func (q *Question) Headline(a scene.Answer) string {
	text := VerdictWord(a.Result.Verdict) + ": " + q.FlowWords(a.Flow)
	switch {
	case a.Pairs == 1 || len(q.Internet) > 0:
		return text
	case a.Pairs == 2:
		return text + " (and another pair of pods)"
	default:
		return fmt.Sprintf("%s (and %d more pairs of pods)", text, a.Pairs-1)
	}
}

// FlowWords names a connection: who connects to whom, and on which port.
func (q *Question) FlowWords(flow reach.Flow) string {
	return fmt.Sprintf("%s -> %s, %s %d", q.endWords(flow.Source), q.endWords(flow.Destination), flow.Protocol, flow.Port)
}

// writeAudit says what staged policies would deny of a connection that passes.
func (q *Question) writeAudit(out io.Writer, a scene.Answer) {
	if a.Result.Audit() == reach.Allow {
		return
	}
	for _, half := range a.StagedHalves() {
		if half.Decision.Verdict != reach.Allow {
			fmt.Fprintf(out, "  if staged policies were enforced: %s: %s\n", VerdictWord(half.Decision.Verdict), q.ReasonWords(half.Decision.Reason))
		}
	}
}

// endWords names an end: the internet by this name, and by an address of it where others have other
// answers.
func (q *Question) endWords(e reach.Endpoint) string {
	switch {
	case !slices.Contains(q.Internet, e):
		return q.asTyped(e.String())
	case len(q.Answers) == 1:
		return scene.InternetKind
	default:
		return scene.InternetKind + " (such as " + e.String() + ")"
	}
}

// asTyped has a text call the pods that stand in for an end as the end was called.
func (q *Question) asTyped(text string) string {
	var pairs []string
	for _, e := range q.standIns {
		name := strings.ToLower(e.Kind) + "/" + e.Name
		if e.Tier != "" {
			name += "/" + e.Tier
		}
		for _, pod := range e.StandIns {
			if rest, found := strings.CutPrefix(pod.Name, name); found {
				pairs = append(pairs, pod.Namespace+"/"+pod.Name, e.Text+rest)
			}
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
