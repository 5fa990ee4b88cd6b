package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/reach"
)

func newCan(streams genericiooptions.IOStreams) *cobra.Command {
	var o connectionOptions
	cmd := &cobra.Command{
		Use:   "can SOURCE DESTINATION --port PORT",
		Short: "Say whether a connection may pass, and which policy and rule says so",
		Long: `Say whether NetworkPolicies let a connection pass, and which policy and rule decides, for each of
its two halves. This is the answer for scripts; explain says why, and what to add.

` + endsHelp + `

Exits with 0 when every connection is allowed, 1 when one is denied, 3 when the answer is not known
(for example because a pod is missing), 2 when there is no answer.`,
		Example: `  # May the frontend connect to the database, in the cluster?
  kubectl apptier can shop/frontend-5d4c shop/database-0 --port 5432

  # May every pod of a Deployment use a Service?
  kubectl apptier can deployment/web service/database -n shop

  # Would a tier reach another, with these manifests?
  kubectl apptier can shop/frontend shop/api -n shop -f config/samples/shop.yaml

  # Would it in the cluster, once they are applied?
  kubectl apptier can shop/frontend shop/api -n shop -f config/samples/shop.yaml --cluster

  # May anyone on the internet ask DNS of a pod?
  kubectl apptier can 192.0.2.1 shop/api-0 --port 53 --protocol UDP`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("give a source and a destination, not %d arguments: see kubectl apptier can --help", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runCan(cmd.Context(), &o, streams, args) },
	}
	o.addFlags(cmd)
	return cmd
}

func runCan(ctx context.Context, o *connectionOptions, streams genericiooptions.IOStreams, args []string) error {
	if err := o.validate(); err != nil {
		return err
	}
	s, ends, err := o.see(ctx, streams.In, args, scene.ListServices, scene.ListAppTiers, scene.ListAPIServer)
	if err != nil {
		return err
	}
	asked, err := o.ask(ctx, streams, s, ends)
	if err != nil {
		return err
	}
	if o.output == "json" {
		return printed(writeAnswersJSON(streams.Out, asked, nil), asked)
	}
	for _, a := range asked.answers {
		fmt.Fprintln(streams.Out, asked.headline(a))
		for _, half := range a.Halves(asked.evaluator) {
			fmt.Fprintf(streams.Out, "  %-8s %-8s %s\n", half.Name, verdictWord(half.Decision.Verdict), asked.reasonWords(half.Decision.Reason))
			warn(streams, half)
		}
		asked.writeAudit(streams.Out, a)
	}
	return errorOf(scene.VerdictOf(asked.answers))
}

// warn tells of policies that cannot be read.
func warn(streams genericiooptions.IOStreams, h scene.Half) {
	for _, problem := range h.Decision.Problems {
		fmt.Fprintf(streams.ErrOut, "warning: cannot be read, and so matches nothing: %s\n", problem)
	}
}

// printed is how a command ends that has printed its answers, or could not.
func printed(err error, asked *asked) error {
	if err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	return errorOf(scene.VerdictOf(asked.answers))
}

// asked is a question about connections with its answers.
type asked struct {
	snapshot  reach.Snapshot
	evaluator *reach.Evaluator
	answers   []scene.Answer
	meant     scene.Expanded
	// citedPolicies are those that were looked up.
	citedPolicies map[types.NamespacedName]*citedPolicy
	// standIns are the pods of the snapshot that do not exist.
	standIns []scene.End
	// internet are the addresses that stand for it, if it is an end.
	internet []reach.Endpoint
}

// ask answers whether the connections between two ends may pass.
func (o *connectionOptions) ask(ctx context.Context, streams genericiooptions.IOStreams, s *scene.Scene, ends []scene.End) (*asked, error) {
	if ends[0].Kind == scene.InternetKind && ends[1].Kind == scene.InternetKind {
		return nil, errors.New("no end is a pod, and policies are about pods")
	}
	var flows []reach.Flow
	var err error
	isInternet := func(e scene.End) bool { return e.Kind == scene.InternetKind }
	if !slices.ContainsFunc(ends, isInternet) {
		if flows, err = o.flows(ends[0], ends[1]); err != nil {
			return nil, err
		}
	}
	q, err := o.look(ctx, streams, s, ends)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(ends, isInternet); i >= 0 { // whose addresses the policies tell apart
		settings, err := o.Managed.Settings()
		if err != nil {
			return nil, err
		}
		q.internet = scene.InternetAddresses(q.snapshot, settings.ClusterNetworks, ends[1-i].Families())
		ends[i].Endpoints = q.internet
		if flows, err = o.flows(ends[0], ends[1]); err != nil {
			return nil, err
		}
	}
	q.answers = scene.AnswersTo(q.evaluator, flows)
	q.noteTunnels(streams.ErrOut)
	s.Doubt(q.snapshot, q.answers)
	return q, nil
}

// look takes the snapshot of a scene, with the pods that stand in for some.
func (o *connectionOptions) look(ctx context.Context, streams genericiooptions.IOStreams, s *scene.Scene, ends []scene.End) (*asked, error) {
	settings, err := o.Managed.Settings()
	if err != nil {
		return nil, err
	}
	q := &asked{}
	if q.snapshot, q.meant, err = s.Snapshot(ctx, streams.ErrOut, settings); err != nil {
		return nil, err
	}
	for _, e := range ends {
		if e.Kind == "Service" && e.Address.IsValid() {
			fmt.Fprintf(streams.ErrOut, "note: %s is an address of Service %s, and policies see the pods behind it\n", e.Text, e.NamespacedName)
		}
		if len(e.StandIns) == 0 {
			continue
		}
		q.standIns = append(q.standIns, e)
		q.addStandIns(e.StandIns)
		fmt.Fprintf(streams.ErrOut, "note: %s\n", e.Note())
	}
	q.evaluator = reach.New(q.snapshot)
	return q, nil
}

// addStandIns adds pods that do not exist to the snapshot, each once: both ends may be the same.
func (q *asked) addStandIns(pods []scene.StandIn) {
	for _, pod := range pods {
		name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
		if slices.ContainsFunc(q.snapshot.Pods, func(p *corev1.Pod) bool { return p.Namespace == name.Namespace && p.Name == name.Name }) {
			continue
		}
		q.snapshot.Pods = append(q.snapshot.Pods, pod.Pod)
		if len(pod.Unknown) > 0 {
			if q.snapshot.UnknownLabels == nil {
				q.snapshot.UnknownLabels = map[types.NamespacedName][]string{}
			}
			q.snapshot.UnknownLabels[name] = pod.Unknown
		}
	}
}

// noteTunnels tells where a mesh carries what policies deny, which see its tunnel alone.
func (q *asked) noteTunnels(out io.Writer) {
	for _, app := range q.meant.Accepted {
		tunnel := expand.Tunnel(app.Spec.Mesh)
		for _, a := range q.answers {
			through := a.Flow
			through.Port = tunnel
			isTCP := a.Flow.Protocol == corev1.ProtocolTCP || a.Flow.Protocol == ""
			if tunnel == 0 || !isTCP || a.Result.Verdict != reach.Deny || a.Flow.Destination.Pod.Namespace != app.Namespace ||
				q.evaluator.Allowed(through).Verdict != reach.Allow {
				continue
			}
			fmt.Fprintf(out, "note: policies deny this, but TCP %d, the tunnel of the mesh, is open between the two and carries any port: only the mesh itself can deny it\n", tunnel)
			return
		}
	}
}
