package cli

import (
	"fmt"

	"github.com/apptier/apptier/internal/cli/packets"
	"github.com/apptier/apptier/internal/cli/report"
)

// told is what there is to say of a case.
type told struct {
	failed, unknown []report.Message
	// reasons are why connections were not tried, in the order in which they come, with the first of each and how many.
	reasons []string
	first   map[string]string
	count   map[string]int
}

// tell adds to each case what became of its connections: first what fails, then what nobody can say, then what was not tried.
func (p *packetTester) tell(plan packets.Plan, results []packets.Result) {
	all := map[*report.Result]*told{}
	for i, a := range p.wanted {
		of := all[a.result]
		if of == nil {
			of = &told{first: map[string]string{}, count: map[string]int{}}
			all[a.result] = of
		}
		place := plan.Places[i]
		why := place.NotTried
		if why == "" {
			why = results[place.Job].NotTried
		}
		if why != "" {
			of.notTried(a, why)
			continue
		}
		of.tried(a, packets.Judge(a.want, a.question.Answers[0].Result.Verdict, a.Flow.Protocol, results[place.Job].Outcomes[place.Target]))
	}
	for result, of := range all {
		of.addTo(result)
	}
}

func (t *told) notTried(a askedFor, why string) {
	if t.count[why] == 0 {
		t.reasons, t.first[why] = append(t.reasons, why), a.question.FlowWords(a.Flow)
	}
	t.count[why]++
	a.result.NotTried++
	a.result.Worsen(report.Unknown)
}

func (t *told) tried(a askedFor, v packets.Verdict) {
	a.result.Connections++
	a.result.Worsen(v.Outcome)
	if v.Outcome == report.Passed {
		return
	}
	m := reasons(a.question, a.question.Answers[0], v.Word+": "+a.question.FlowWords(a.Flow))
	if v.Why != "" {
		m.Why = append([]string{v.Why}, m.Why...)
	}
	if v.Outcome == report.Failed {
		t.failed = append(t.failed, m)
	} else {
		t.unknown = append(t.unknown, m)
	}
}

// addTo adds the messages to a result. Reasons why something was not tried are few, and all are said.
func (t *told) addTo(result *report.Result) {
	shown := append(t.failed, t.unknown...)
	if len(shown) > report.MostMessages {
		result.More, shown = len(shown)-report.MostMessages, shown[:report.MostMessages]
	}
	result.Messages = append(result.Messages, shown...)
	for _, why := range t.reasons {
		what := "not tried: " + t.first[why]
		if more := t.count[why] - 1; more > 0 {
			what += fmt.Sprintf(" (and %d more)", more)
		}
		result.Messages = append(result.Messages, report.Message{What: what, Why: []string{why}})
	}
}
