package agent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"

	apptierv1alpha1 "github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
)

// stage is a source of staged policies whose kind may be missing.
type stage struct {
	mu      sync.Mutex
	err     error
	items   []apptierv1alpha1.StagedNetworkPolicy
	watches []*watch.FakeWatcher
	asked   int
}

var errAbsent = apierrors.NewNotFound(schema.GroupResource{Group: "policy.apptier.dev", Resource: stagedResource}, "")

func (s *stage) List(context.Context, metav1.ListOptions) (*apptierv1alpha1.StagedNetworkPolicyList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return &apptierv1alpha1.StagedNetworkPolicyList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: s.items}, s.err
}

// times is how often it was asked for the list.
func (s *stage) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *stage) Watch(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if o.SendInitialEvents != nil {
		return nil, apierrors.NewInvalid(schema.GroupKind{}, "", nil)
	}
	w := watch.NewFake()
	s.watches = append(s.watches, w)
	return w, nil
}

// fail has every request fail, and ends the watches; nil ends that.
func (s *stage) fail(err error, items ...apptierv1alpha1.StagedNetworkPolicy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.items = err, items
	for _, w := range s.watches {
		w.Stop()
	}
	s.watches = nil
}

func stagedPolicy(name string) apptierv1alpha1.StagedNetworkPolicy {
	return apptierv1alpha1.StagedNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "u"}}
}

// Whether the kind exists changes nothing about what is enforced, and is no reason to wait, or to be not ready. It may
// come and go.
func TestTheKindOfStagedPoliciesMayComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var mu sync.Mutex
		written := func() string { mu.Lock(); defer mu.Unlock(); return log.String() }
		from, kernel := &stage{err: errAbsent}, newFaulty()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client := fake.NewClientset(
			&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}},
			&corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.PodSpec{NodeName: "node"},
				Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"},
			})
		a, err := New(Options{
			Node: "node", Client: client, Kernel: kernel, Staged: from,
			Log: funcr.New(func(_, args string) { mu.Lock(); defer mu.Unlock(); log.WriteString(args + "\n") }, funcr.Options{}),
		})
		if err != nil {
			t.Fatal(err)
		}
		go a.Run(ctx)
		judged := func() bool {
			kernel.mu.Lock()
			defer kernel.mu.Unlock()
			return kernel.Table.Maps["staged-ingress4"].FindElement("10.0.0.1") != nil
		}
		await := func(what string, so bool) {
			t.Helper()
			time.Sleep(3 * absentRetry) //nolint:forbidigo // of the bubble
			synctest.Wait()
			if judged() != so {
				t.Fatalf("%s: judged %v, want %v", what, judged(), so)
			}
			if problems := a.options.Health.Problems(time.Now()); len(problems) > 0 {
				t.Fatalf("%s: %v", what, problems)
			}
		}
		time.Sleep(time.Second) //nolint:forbidigo // of the bubble
		if synctest.Wait(); !a.Synced() {
			t.Fatal("the rules wait for a kind that does not exist")
		}
		await("there is no such kind", false)
		if n := strings.Count(written(), "does not have the kind"); n != 1 {
			t.Errorf("said %d times, want once:\n%s", n, written())
		}
		asked := from.times()
		time.Sleep(10 * time.Minute) //nolint:forbidigo // of the bubble
		synctest.Wait()
		if n := from.times() - asked; n > 10 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		from.fail(nil, stagedPolicy("trial"))
		await("the kind comes", true)
		from.fail(errors.New("overloaded"))
		await("it cannot be watched for a while", true)
		from.fail(apierrors.NewForbidden(schema.GroupResource{}, "", nil))
		await("nor may this enforcer see it", true)
		from.fail(errAbsent)
		await("it goes", false)
		from.fail(nil, stagedPolicy("trial"))
		await("it comes again", true)
	})
}

// A staged policy that the kernel does not take costs no other one its rules, and its author hears of it.
func TestAStagedPolicyThatTheKernelRefusesIsNotAsked(t *testing.T) {
	kernel := newFaulty()
	s, c := newSyncer(kernel)
	recorder := events.NewFakeRecorder(10)
	s.Events = recorder
	c.Policies = append(c.Policies, allow("good", "203.0.113.1/32", 80))
	c.Staged = []*networkingv1.NetworkPolicy{allow("fine", "203.0.113.2/32", 81), allow("bad", "192.0.2.0/24", 82)}
	kernel.refuses = "192.0.2.0"
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	rules := kernel.Dump()
	if !strings.Contains(rules, "{ 203.0.113.1 }") || kernel.Table.Maps["ingress4"].FindElement("10.0.0.1") == nil {
		t.Errorf("an enforced policy is not:\n%s", rules)
	}
	if !strings.Contains(rules, "are not asked") {
		t.Errorf("the staged policies are asked:\n%s", rules)
	}
	if real, staged := metric(t, s, "policy_problems"), metric(t, s, "staged_policy_problems"); real != 0 || staged != 1 {
		t.Errorf("%v problems of enforced policies, %v of staged ones", real, staged)
	}
	select {
	case event := <-recorder.Events:
		if !strings.Contains(event, notJudged) || !strings.Contains(event, "refuses") {
			t.Errorf("event %q", event)
		}
	default:
		t.Error("no event")
	}
	c.Staged[1] = allow("bad", "203.0.113.3/32", 82)
	c.Staged[1].ResourceVersion = "2"
	mustSync(t, s)
	if rules := kernel.Dump(); !strings.Contains(rules, "{ 203.0.113.3 }") || metric(t, s, "staged_policy_problems") != 0 {
		t.Errorf("it is not asked although it was put right:\n%s", rules)
	}
}

// An event is about the object of the kind that its author wrote.
func TestAnEventIsAboutTheStagedPolicy(t *testing.T) {
	c := compile.New("node")
	_, objects := newSyncer(newFaulty())
	c.Tell(objects.Snapshot)
	broken := allow("broken", "not a block", 80)
	c.SetPolicy(broken)
	c.SetStaged(broken)
	kinds := map[string]string{}
	for _, p := range c.Problems() {
		kinds[p.Object.Kind] = p.Object.APIVersion
	}
	if kinds["NetworkPolicy"] != "networking.k8s.io/v1" || kinds["StagedNetworkPolicy"] != "policy.apptier.dev/v1alpha1" {
		t.Errorf("events are about %v", kinds)
	}
}
