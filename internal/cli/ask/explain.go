package ask

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/suggest"
)

// NewExplain returns the command explain.
func NewExplain(streams genericiooptions.IOStreams) *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use:   "explain SOURCE DESTINATION --port PORT | explain POD",
		Short: "Say why a connection is allowed or denied, and what to add; or what a pod may do",
		Long: `Say why a connection is allowed, denied or not known: for each of its two halves, which policies isolate
the pod, and what each of their rules says. For a denied connection, also say what to add to allow it: a
rule of the AppTier that isolates the pod, or a NetworkPolicy if no AppTier does. The addition is tried first,
and is minimal. can gives only the answer.

With one end, say who may reach it and what it may reach: every rule of the policies that isolate it.

` + endsHelp + `

Exits like can; with one end, with 0, or 2 when there is no answer.`,
		Example: `  # Why can the frontend not connect to the database, and what would allow it?
  kubectl apptier explain deployment/frontend service/database -n shop

  # Between tiers, with these manifests
  kubectl apptier explain shop/frontend shop/database -n shop -f config/samples/shop.yaml

  # Do what it says.
  kubectl apptier explain shop/frontend-5d4c shop/database-0 --port 5432 -o json

  # Who may reach a pod, and what may it reach?
  kubectl apptier explain shop/database-0`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return fmt.Errorf("give a source and a destination, or one pod, not %d arguments: see kubectl apptier explain --help", len(args))
			}
			if len(args) == 1 && slices.ContainsFunc(lint.Catalogue(), func(c check.Check) bool { return string(c.ID) == args[0] }) {
				return fmt.Errorf("%s is a check: see kubectl apptier checks %s", args[0], args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runExplain(cmd.Context(), &o, streams, args) },
	}
	o.addFlags(cmd)
	return cmd
}

func runExplain(ctx context.Context, o *Options, streams genericiooptions.IOStreams, args []string) error {
	if err := o.validate(); err != nil {
		return err
	}
	s, ends, err := o.see(ctx, streams.In, args, scene.ListServices, scene.ListAppTiers, scene.ListAPIServer)
	if err != nil {
		return err
	}
	if len(ends) == 1 {
		return o.explainOne(ctx, streams, s, ends[0])
	}
	q, err := o.ask(ctx, streams, s, ends)
	if err != nil {
		return err
	}
	e, err := o.explanationOf(ctx, s, q, ends)
	if err != nil {
		return err
	}
	if o.output == "json" {
		return printed(writeAnswersJSON(streams.Out, q, e), q)
	}
	for _, a := range q.Answers {
		fmt.Fprintln(streams.Out, q.Headline(a))
		for _, h := range a.Halves(q.Evaluator) {
			q.writeHalf(streams.Out, h)
			warn(streams, h)
		}
		q.writeAudit(streams.Out, a)
		if a.Result.Verdict != reach.Deny {
			continue
		}
		if err := e.writeAdditions(streams.Out, a); err != nil {
			return err
		}
	}
	return errorOf(scene.VerdictOf(q.Answers))
}

// writeHalf writes how the decision about a half came about.
func (q *Question) writeHalf(out io.Writer, h scene.Half) {
	fmt.Fprintf(out, "  %s: %s: %s\n", h.Name, VerdictWord(h.Decision.Verdict), q.ReasonWords(h.Decision.Reason))
	byItself := h.Decision.Verdict == reach.Allow && h.Decision.AllowedBy == nil
	if !h.Decision.Isolated || byItself { // no rule is asked
		return
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "    POLICY\tRULE\t%s\tPORTS\tTHIS CONNECTION\n", peersHeading(h.Name))
	for _, name := range h.Decision.Policies {
		isOf := func(r reach.RuleVerdict) bool { return r.Policy == name }
		if !slices.ContainsFunc(h.Rules, isOf) {
			fmt.Fprintf(table, "    %s\tnone\t\t\tisolates, and allows nothing\n", q.policyColumn(name))
		}
		for _, r := range h.Rules {
			if isOf(r) {
				peers, ports := q.ruleWords(r)
				rule := q.ruleJSON(name, r.Direction, r.Index, -1)
				fmt.Fprintf(table, "    %s\t%s\t%s\t%s\t%s\n", rule.policyColumn(), rule.ruleColumn(), report.Few(peers), report.Few(ports), madeOf(r))
			}
		}
	}
	_ = table.Flush() // writing to a terminal or a buffer
}

func peersHeading(direction string) string {
	if direction == "egress" {
		return "TO"
	}
	return "FROM"
}

// madeOf says what a rule makes of a connection.
func madeOf(r reach.RuleVerdict) string {
	switch {
	case r.Peers == reach.Allow && r.Ports:
		return "allowed"
	case r.Peers == reach.Unknown && r.Ports:
		return "not known"
	case r.Peers == reach.Deny && !r.Ports:
		return "another peer, another port"
	case r.Ports:
		return "another peer"
	default:
		return "another port"
	}
}

func rulePath(direction networkingv1.PolicyType, index int) string {
	return fmt.Sprintf("spec.%s[%d]", strings.ToLower(string(direction)), index)
}

// ruleWords names the peers and ports of a rule.
func (q *Question) ruleWords(r reach.RuleVerdict) (peers, ports []string) {
	for _, policy := range q.Snapshot.Policies {
		if policy.Namespace != r.Policy.Namespace || policy.Name != r.Policy.Name {
			continue
		}
		if r.Direction == networkingv1.PolicyTypeIngress {
			rule := policy.Spec.Ingress[r.Index]
			return q.peersWords(r, rule.From), report.PortsWords(rule.Ports)
		}
		rule := policy.Spec.Egress[r.Index]
		return q.peersWords(r, rule.To), report.PortsWords(rule.Ports)
	}
	return nil, nil
}

// peersWords names the peers of a rule; the internet is one peer, not its ranges.
func (q *Question) peersWords(r reach.RuleVerdict, peers []networkingv1.NetworkPolicyPeer) []string {
	words := report.PeersWords(peers)
	p := q.cited(r.Policy)
	if p == nil {
		return words
	}
	var out []string
	isInternet := func(i int) bool {
		return slices.ContainsFunc(p.of(r.Direction, r.Index), func(o expand.Origin) bool { return o.Peer == i && o.IsInternet })
	}
	for i, word := range words {
		if isInternet(i) {
			word = scene.InternetKind
		}
		if word != scene.InternetKind || !slices.Contains(out, scene.InternetKind) {
			out = append(out, word)
		}
	}
	return out
}

// explanation finds out what to add.
type explanation struct {
	world suggest.World
	*Question
	// source and destination are the ends that were asked about.
	source, destination scene.End
	// opens is what the last additions open beside the connection, and beside others that were asked about.
	opens []reach.Flow
}

// additions are what to add for an answer, beside what was to be added for those before.
func (e *explanation) additions(a scene.Answer) []suggest.Addition {
	additions, before := suggest.For(e.world, a.Flow), e.world
	e.world, e.opens = e.world.With(additions), nil
	if len(additions) > 0 {
		e.opens = slices.DeleteFunc(suggest.Opens(before, e.world, a.Flow), func(flow reach.Flow) bool {
			return e.isMeant(e.source, flow.Source) && e.isMeant(e.destination, flow.Destination)
		})
	}
	return additions
}

// isMeant says whether an endpoint is one of an end that was asked about.
func (e *explanation) isMeant(by scene.End, endpoint reach.Endpoint) bool {
	if by.Kind == scene.InternetKind && endpoint.Address.IsValid() {
		return expand.IsInternet(endpoint.Address, e.world.Environment.ClusterNetworks)
	}
	return slices.Contains(by.Endpoints, endpoint)
}

// explanationOf looks up what the AppTiers of both ends refer to: their rules may be added to.
func (o *Options) explanationOf(ctx context.Context, s *scene.Scene, q *Question, ends []scene.End) (*explanation, error) {
	settings, err := o.Managed.Settings()
	if err != nil {
		return nil, err
	}
	var apps []*v1alpha1.AppTier
	for _, app := range q.Meant.Accepted {
		if slices.ContainsFunc(ends, func(e scene.End) bool { return isIn(e, app.Namespace, q) }) {
			apps = append(apps, app.AppTier)
		}
	}
	references := model.ReferencesOf(apps...)
	references.APIServer = true // which may be what is to be added
	env, err := settings.Of(ctx, references, scene.InputWorld(s.Objects()))
	if err != nil {
		return nil, err
	}
	if env.AppTiers == nil {
		env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	}
	world := suggest.World{Snapshot: q.Snapshot, AppTiers: apps, Environment: env, Internet: len(q.Internet) > 0}
	return &explanation{world: world, Question: q, source: ends[0], destination: ends[1]}, nil
}

// isIn says whether an end has pods in a namespace. Of an address, anyone's, it may be so.
func isIn(e scene.End, namespace string, q *Question) bool {
	if e.Address.IsValid() {
		return slices.ContainsFunc(q.Snapshot.Pods, scene.Owns(e.Address, namespace))
	}
	return e.Namespace == namespace
}
