package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/budget"
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

// sameness is by what a problem is known again when only the count has changed that is too much: a policy
// that selects too many pods selects another number of them all the time.
func sameness(p compile.Problem) string {
	var excess *budget.ExceededError
	if !errors.As(p.Err, &excess) {
		return p.Error()
	}
	key := fmt.Sprintf("%s %s %v", p.Policy, p.Path, excess.Namespace)
	for _, e := range excess.Excess {
		key += fmt.Sprintf(" %s=%d", e.Item, e.Limit)
	}
	return key
}

// reportProblems logs what is wrong with policies and says so in events, once for as long as it
// stays the same.
func (s *Syncer) reportProblems(problems []compile.Problem) {
	reported := map[string]bool{}
	for _, p := range problems {
		key := sameness(p)
		known := reported[key] || s.problems[key]
		if reported[key] = true; known {
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
