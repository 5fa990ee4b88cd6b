package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/apptier/apptier/policy/lint/check"
)

// mostSteps is what judging one object may take, in the steps of lint.Work: about a second of a processor.
const mostSteps = 20_000_000

// Judging limits the work of all requests together, so that no tenant makes others wait until the API server
// stops waiting and applies failurePolicy. A request that cannot be judged in time is refused.
type Judging struct {
	slots *semaphore.Weighted
	// share is how many slots one namespace may hold or wait for at once; its other requests wait before that.
	share int64

	mutex      sync.Mutex // of what follows
	namespaces map[string]*namespaceShare
}

// namespaceShare exists while a request uses it.
type namespaceShare struct {
	slots *semaphore.Weighted
	users int
}

// NewJudging returns bounds under which so many requests are judged at once, and at most half of them, but one
// at least, about objects of one namespace.
func NewJudging(atOnce int) *Judging {
	atOnce = max(1, atOnce)
	return &Judging{slots: semaphore.NewWeighted(int64(atOnce)), share: int64(max(1, atOnce/2)), namespaces: map[string]*namespaceShare{}}
}

// enter waits for a slot, or until the client gives up; leave returns the slot. It is first come, first served, in a
// namespace and among the first of each namespace.
func (j *Judging) enter(ctx context.Context, namespace string) (leave func(), err error) {
	share := j.use(namespace)
	if err := share.slots.Acquire(ctx, 1); err != nil {
		j.unuse(namespace, share)
		return nil, err
	}
	if err := j.slots.Acquire(ctx, 1); err != nil {
		share.slots.Release(1)
		j.unuse(namespace, share)
		return nil, err
	}
	return func() {
		j.slots.Release(1)
		share.slots.Release(1)
		j.unuse(namespace, share)
	}, nil
}

func (j *Judging) use(namespace string) *namespaceShare {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	share := j.namespaces[namespace]
	if share == nil {
		share = &namespaceShare{slots: semaphore.NewWeighted(j.share)}
		j.namespaces[namespace] = share
	}
	share.users++
	return share
}

func (j *Judging) unuse(namespace string, share *namespaceShare) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	if share.users--; share.users == 0 {
		delete(j.namespaces, namespace)
	}
}

// subject is what a request is about.
type subject struct {
	kind            schema.GroupKind
	namespace, name string
	// size says how big it is, for people.
	size string
}

// within judges when there is a slot, and refuses what could not be judged.
func (j *Judging) within(ctx context.Context, of subject, judge func(work *check.Work) ([]check.Finding, error)) ([]check.Finding, error) {
	start := time.Now()
	leave, err := j.enter(ctx, of.namespace)
	if err != nil {
		return nil, busy(of, time.Since(start))
	}
	defer leave()
	work := check.NewWork(mostSteps, ctx.Err)
	findings, err := judge(work)
	var tooMuch *check.TooMuchWorkError
	switch {
	case err != nil:
		return nil, err
	case errors.As(work.Err(), &tooMuch):
		return []check.Finding{tooBig(of, fmt.Sprintf("more than the limit of %d steps for one object", tooMuch.Most))}, nil
	case work.Err() != nil:
		return []check.Finding{tooBig(of,
			fmt.Sprintf("longer than the time limit (%d steps in %s)", work.Done(), time.Since(start).Round(time.Millisecond)))}, nil
	}
	return findings, nil
}

// tooBig refuses an object that was not judged: it might open anything.
func tooBig(of subject, takes string) check.Finding {
	return check.Finding{
		Check: check.TooBig, Severity: check.Reject, Path: "spec",
		Message: fmt.Sprintf("it is too big to judge in this cluster: its %s take %s", of.size, takes),
		Fix:     "split it, merge peers and ports that allow the same, or select by fewer labels; nothing passes unjudged",
	}
}

// busy refuses a request that was not judged, and asks to try again.
func busy(of subject, waited time.Duration) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure,
		Code:   http.StatusTooManyRequests,
		Reason: metav1.StatusReasonTooManyRequests,
		Message: fmt.Sprintf("%s %s is not judged: other requests took the time limit of %s, try again in a moment",
			of.kind.Kind, of.name, waited.Round(time.Millisecond)),
		Details: &metav1.StatusDetails{Group: of.kind.Group, Kind: of.kind.Kind, Name: of.name, RetryAfterSeconds: 1},
	}}
}
