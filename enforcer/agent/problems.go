package agent

import (
	"context"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"

	"github.com/apptier/apptier/enforcer/compile"
)

// notEnforced is the reason of events about policies that are not enforced as they are written.
const notEnforced = "NotEnforced"

// newEvents returns a recorder that writes to the API server until the context ends.
func newEvents(ctx context.Context, client kubernetes.Interface, log logr.Logger) events.EventRecorder {
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		log.Error(err, "Cannot write events")
	}
	context.AfterFunc(ctx, broadcaster.Shutdown)
	return broadcaster.NewRecorder(scheme.Scheme, "apptier.dev/enforcer")
}

// reportProblems logs what is wrong with policies and says so in events, once for as long as it
// stays the same.
func (s *Syncer) reportProblems(problems []compile.Problem) {
	reported := map[string]bool{}
	for _, p := range problems {
		if reported[p.Error()] = true; s.problems[p.Error()] {
			continue
		}
		s.Log.Error(p.Err, "A part of a policy cannot be enforced, so it allows nothing", "policy", p.Policy, "field", p.Path)
		if s.Events != nil {
			s.Events.Eventf(p.Object, nil, corev1.EventTypeWarning, notEnforced, "Enforce",
				"Node %s cannot enforce %s, which therefore allows nothing: %v", s.Node, p.Path, p.Err)
		}
	}
	s.problems = reported
}
