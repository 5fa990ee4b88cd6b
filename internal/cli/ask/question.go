package ask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/reach"
)

// Question is what is asked about the connections of a scene, with its answers.
type Question struct {
	Scene     *scene.Scene
	Snapshot  reach.Snapshot
	Evaluator *reach.Evaluator
	Answers   []scene.Answer
	Meant     scene.Expanded
	// citedPolicies are those that were looked up.
	citedPolicies map[types.NamespacedName]*citedPolicy
	// standIns are the pods of the snapshot that do not exist.
	standIns []scene.End
	// Internet are the addresses that stand for it, if it is an end.
	Internet []reach.Endpoint
}

// ask answers whether the connections between two ends may pass.
func (o *Options) ask(ctx context.Context, streams genericiooptions.IOStreams, s *scene.Scene, ends []scene.End) (*Question, error) {
	if ends[0].Kind == scene.InternetKind && ends[1].Kind == scene.InternetKind {
		return nil, errors.New("no end is a pod, and policies are about pods")
	}
	var flows []reach.Flow
	var err error
	isInternet := func(e scene.End) bool { return e.Kind == scene.InternetKind }
	if !slices.ContainsFunc(ends, isInternet) {
		if flows, err = o.Flows(ends[0], ends[1]); err != nil {
			return nil, err
		}
	}
	q, err := o.Look(ctx, streams, s, ends)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(ends, isInternet); i >= 0 { // whose addresses the policies tell apart
		settings, err := o.Managed.Settings()
		if err != nil {
			return nil, err
		}
		q.Internet = scene.InternetAddresses(q.Snapshot, settings.ClusterNetworks, ends[1-i].Families())
		ends[i].Endpoints = q.Internet
		if flows, err = o.Flows(ends[0], ends[1]); err != nil {
			return nil, err
		}
	}
	q.Answers = scene.AnswersTo(q.Evaluator, flows)
	q.NoteTunnels(streams.ErrOut)
	s.Doubt(q.Snapshot, q.Answers)
	return q, nil
}

// Look takes the snapshot of a scene, with the pods that stand in for some.
func (o *Options) Look(ctx context.Context, streams genericiooptions.IOStreams, s *scene.Scene, ends []scene.End) (*Question, error) {
	settings, err := o.Managed.Settings()
	if err != nil {
		return nil, err
	}
	q := &Question{Scene: s}
	if q.Snapshot, q.Meant, err = s.Snapshot(ctx, streams.ErrOut, settings); err != nil {
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
		q.AddStandIns(e.StandIns)
		fmt.Fprintf(streams.ErrOut, "note: %s\n", e.Note())
	}
	q.Evaluator = reach.New(q.Snapshot)
	return q, nil
}

// AddStandIns adds pods that do not exist to the snapshot, each once: both ends may be the same.
func (q *Question) AddStandIns(pods []scene.StandIn) {
	for _, pod := range pods {
		name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
		if slices.ContainsFunc(q.Snapshot.Pods, func(p *corev1.Pod) bool { return p.Namespace == name.Namespace && p.Name == name.Name }) {
			continue
		}
		q.Snapshot.Pods = append(q.Snapshot.Pods, pod.Pod)
		if len(pod.Unknown) > 0 {
			if q.Snapshot.UnknownLabels == nil {
				q.Snapshot.UnknownLabels = map[types.NamespacedName][]string{}
			}
			q.Snapshot.UnknownLabels[name] = pod.Unknown
		}
	}
}

// NoteTunnels tells where a mesh carries what policies deny, which see its tunnel alone.
func (q *Question) NoteTunnels(out io.Writer) {
	for _, app := range q.Meant.Accepted {
		tunnel := expand.Tunnel(app.Spec.Mesh)
		for _, a := range q.Answers {
			through := a.Flow
			through.Port = tunnel
			isTCP := a.Flow.Protocol == corev1.ProtocolTCP || a.Flow.Protocol == ""
			if tunnel == 0 || !isTCP || a.Result.Verdict != reach.Deny || a.Flow.Destination.Pod.Namespace != app.Namespace ||
				q.Evaluator.Allowed(through).Verdict != reach.Allow {
				continue
			}
			fmt.Fprintf(out, "note: policies deny this, but TCP %d, the tunnel of the mesh, is open between the two "+
				"and carries any port: only the mesh itself can deny it\n", tunnel)
			return
		}
	}
}
