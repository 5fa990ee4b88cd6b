package webhooks

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// One namespace takes no more than half of the turns, so another's request is judged at once.
func TestJudgingIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := NewJudging(4)
		var judged atomic.Int32
		ask := func(namespace string, takes time.Duration) {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				_, err := j.within(ctx, subject{namespace: namespace, name: "x"}, func(*check.Work) ([]check.Finding, error) {
					<-time.After(takes)
					return nil, nil
				})
				if err == nil {
					judged.Add(1)
				} else if !apierrors.IsTooManyRequests(err) {
					t.Errorf("%s: %v", namespace, err)
				}
			}()
			synctest.Wait()
		}
		for range 20 {
			ask("crowd", 2*time.Second)
		}
		ask("other", time.Millisecond)
		ask("third", time.Millisecond)
		<-time.After(time.Second)
		synctest.Wait()
		if n := judged.Load(); n != 2 {
			t.Errorf("%d were judged beside a crowd", n)
		}
		<-time.After(3 * time.Second)
		synctest.Wait()
		// Two begin at 0 s and two at 2 s; at 3 s the others are told to try again.
		if n := judged.Load(); n != 6 {
			t.Errorf("judged in the end: %d", n)
		}
		if len(j.namespaces) > 0 {
			t.Errorf("%d namespaces are remembered for nobody", len(j.namespaces))
		}
	})
}

func TestJudgingTellsWhyNot(t *testing.T) {
	j := NewJudging(1)
	of := subject{namespace: "shop", name: "many", size: "3 rules"}
	t.Run("too much work", func(t *testing.T) {
		findings, err := j.within(t.Context(), of, func(work *check.Work) ([]check.Finding, error) {
			lint.JudgePolicy(world.NewIndex(world.World{}), heavyPolicy(), work)
			return nil, nil
		})
		if err != nil || len(findings) != 1 || findings[0].Severity != check.Reject || findings[0].Check != check.TooBig {
			t.Errorf("%v, %v", findings, err)
		}
	})
	t.Run("too little time", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		findings, err := j.within(ctx, of, func(work *check.Work) ([]check.Finding, error) {
			cancel()
			lint.JudgePolicy(world.NewIndex(world.World{}), heavyPolicy(), work)
			return nil, nil
		})
		if err != nil || len(findings) != 1 || findings[0].Severity != check.Reject {
			t.Errorf("%v, %v", findings, err)
		}
	})
	t.Run("no turn", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		leave, err := j.enter(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
		_, err = j.within(ctx, of, nil)
		var status apierrors.APIStatus
		if !errors.As(err, &status) || status.Status().Code != http.StatusTooManyRequests || status.Status().Details.RetryAfterSeconds < 1 {
			t.Errorf("%v", err)
		}
	})
}

func TestTimeForARequest(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"":              3 * time.Second,
		"?timeout=5s":   3 * time.Second,
		"?timeout=2s":   1200 * time.Millisecond,
		"?timeout=30s":  6 * time.Second,
		"?timeout=-1s":  3 * time.Second,
		"?timeout=soon": 3 * time.Second,
	} {
		if got := timeFor(httptest.NewRequest(http.MethodPost, "/validate"+query, nil)); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}
