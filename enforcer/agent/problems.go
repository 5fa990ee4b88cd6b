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

const (
	// notEnforced is the reason of events about policies that are not enforced as they are written.
	notEnforced = "NotEnforced"
	// notJudged is that of events about staged policies that do not say what they would deny as they are written.
	notJudged = "NotJudged"
)

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
		if p.Staged() {
			s.reportStaged(p)
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

// reportStaged says so of a staged policy. What is too much or refused is not asked; what cannot be read is taken as it
// would be enforced.
func (s *Syncer) reportStaged(p compile.Problem) {
	consequence := "as it would if it was enforced, it allows nothing"
	var excess *budget.ExceededError
	if errors.As(p.Err, &excess) || errors.Is(p.Err, errRefused) {
		consequence = "what the staged policies of its pods would deny is not counted"
	}
	s.Log.Info("A part of a staged policy cannot be judged: "+consequence, "policy", p.Policy, "field", p.Path, "reason", p.Err.Error())
	if s.Events != nil {
		s.Events.Eventf(p.Object, nil, corev1.EventTypeWarning, notJudged, "Judge",
			"Node %s cannot judge %s, so %s: %v", s.Node, p.Path, consequence, p.Err)
	}
}
