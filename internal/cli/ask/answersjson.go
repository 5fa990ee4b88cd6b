package ask

import (
	"io"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/suggest"
)

// What is printed of connections as JSON. Lists are there when they are empty.
type (
	answersJSON struct {
		Verdict     string           `json:"verdict"`
		Connections []connectionJSON `json:"connections"`
	}
	connectionJSON struct {
		Verdict     string `json:"verdict"`
		Source      string `json:"source"`
		Destination string `json:"destination"`
		Protocol    string `json:"protocol"`
		Port        int32  `json:"port"`
		// Pairs is how many pairs of pods this stands for; source and destination are one of them.
		Pairs   int      `json:"pairs"`
		Egress  halfJSON `json:"egress"`
		Ingress halfJSON `json:"ingress"`
		// Audit is what staged policies would do, if there are any.
		Audit *auditJSON     `json:"audit,omitempty"`
		Add   []additionJSON `json:"add,omitempty"`
		// Opens is what that allows too, on the same port, beside what was asked about.
		Opens []flowJSON `json:"opens,omitempty"`
		// Alike are pods that nothing can be added for, as no label tells them from others.
		Alike []string `json:"alike,omitempty"`
	}
	auditJSON struct {
		// Verdict is denied if the connection passes now, and would not.
		Verdict string   `json:"verdict"`
		Egress  halfJSON `json:"egress"`
		Ingress halfJSON `json:"ingress"`
	}
	flowJSON struct {
		Source      string `json:"source"`
		Destination string `json:"destination"`
	}
	halfJSON struct {
		Verdict  string   `json:"verdict"`
		Reason   string   `json:"reason"`
		Isolated bool     `json:"isolated"`
		Policies []string `json:"policies"`
		// AllowedBy is the rule that allows it, if one does.
		AllowedBy *ruleJSON `json:"allowedBy,omitempty"`
		// Rules are all that could have allowed it; of explain alone.
		Rules    []ruleVerdictJSON `json:"rules,omitempty"`
		Problems []string          `json:"problems,omitempty"`
	}
	ruleJSON struct {
		// Policy is the NetworkPolicy that has the rule, or AppTier what declares it; Path is a field of it.
		Policy  string `json:"policy,omitempty"`
		AppTier string `json:"appTier,omitempty"`
		Path    string `json:"path"`
		// Also are other fields of the AppTier that declare the same.
		Also []string `json:"also,omitempty"`
		// File and Line are where the AppTier's field was read, if it was in a file.
		File string `json:"file,omitempty"`
		Line int    `json:"line,omitempty"`
	}
	ruleVerdictJSON struct {
		ruleJSON
		Peers []string `json:"peers"`
		Ports []string `json:"ports"`
		// PeerMatches is yes, no or unknown.
		PeerMatches string `json:"peerMatches"`
		PortMatches bool   `json:"portMatches"`
	}
)

// writeAnswersJSON writes answers for programs, and with explain what it says of each.
func writeAnswersJSON(out io.Writer, asked *Question, e *explanation) error {
	text := answersJSON{Verdict: VerdictWord(scene.VerdictOf(asked.Answers)), Connections: []connectionJSON{}}
	for _, a := range asked.Answers {
		halves := a.Halves(asked.Evaluator)
		c := connectionJSON{
			Verdict: VerdictWord(a.Result.Verdict), Source: a.Flow.Source.String(), Destination: a.Flow.Destination.String(),
			Protocol: string(a.Flow.Protocol), Port: a.Flow.Port, Pairs: a.Pairs,
			Egress: asked.halfJSON(halves[0], e != nil), Ingress: asked.halfJSON(halves[1], e != nil),
		}
		if staged := a.StagedHalves(); len(staged) > 0 {
			c.Audit = &auditJSON{VerdictWord(a.Result.Audit()), asked.halfJSON(staged[0], false), asked.halfJSON(staged[1], false)}
		}
		if e != nil {
			c.Alike = namesOf(suggest.Alike(e.world, a.Flow))
			c.Add = additionsJSON(e.additions(a))
			for _, flow := range e.opens {
				c.Opens = append(c.Opens, flowJSON{flow.Source.String(), flow.Destination.String()})
			}
		}
		text.Connections = append(text.Connections, c)
	}
	return report.WriteJSON(out, text)
}

func (q *Question) halfJSON(h scene.Half, withRules bool) halfJSON {
	d := h.Decision
	out := halfJSON{
		Verdict: VerdictWord(d.Verdict), Reason: q.ReasonWords(d.Reason),
		Isolated: d.Isolated, Policies: q.policiesWords(d.Policies), Problems: d.Problems,
	}
	if d.AllowedBy != nil {
		by := q.ruleJSON(d.AllowedBy.Policy, d.AllowedBy.Direction, d.AllowedBy.Index, max(0, d.AllowedBy.Peer))
		out.AllowedBy = &by
	}
	if !withRules {
		return out
	}
	for _, r := range h.Rules {
		peers, ports := q.ruleWords(r)
		out.Rules = append(out.Rules, ruleVerdictJSON{
			ruleJSON: q.ruleJSON(r.Policy, r.Direction, r.Index, -1), Peers: peers, Ports: ports,
			PeerMatches: matchWord(r.Peers), PortMatches: r.Ports,
		})
	}
	return out
}

func matchWord(verdict reach.Verdict) string {
	return map[reach.Verdict]string{reach.Allow: "yes", reach.Deny: "no", reach.Unknown: "unknown"}[verdict]
}

func namesOf(policies []types.NamespacedName) []string {
	names := make([]string, 0, len(policies))
	for _, name := range policies {
		names = append(names, name.String())
	}
	return names
}
