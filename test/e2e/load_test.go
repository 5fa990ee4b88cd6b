package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
)

// loadEvery is how often each kind of request is made.
const loadEvery = 200 * time.Millisecond

// load is what users do all the time, and how it ended.
type load struct {
	stop  context.CancelFunc
	done  sync.WaitGroup
	mutex sync.Mutex
	// Requests that ended as they should, by kind.
	succeeded map[string]int
	failed    []failure
	// When AppTiers and NetworkPolicies passed that the webhook would have refused.
	unjudged []time.Time
}

type failure struct {
	at   time.Time
	kind string
	err  error
}

func (f failure) String() string {
	return fmt.Sprintf("%s %s: %v", f.at.Format("15:04:05.000"), f.kind, f.err)
}

// startLoad has AppTiers and NetworkPolicies created, in a namespace that has a ledger, until the load is
// stopped: tried, made and deleted, and refused.
func startLoad(ctx context.Context, namespace string) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{stop: stop, succeeded: map[string]int{}}
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "load-"}, Spec: v1alpha1.AppTierSpec{
		Tiers: []v1alpha1.Tier{{Name: "cache", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "cache"}}}},
	}}
	harmless := opening(namespace)
	harmless.Name, harmless.GenerateName = "", "load-"
	harmless.Spec.PodSelector.MatchLabels = map[string]string{"tier": "nobody"}
	create := func(object client.Object) error {
		made := object.DeepCopyObject().(client.Object)
		if err := api.Create(ctx, made); err != nil {
			return err
		}
		return client.IgnoreNotFound(api.Delete(ctx, made))
	}
	l.repeat(ctx, "AppTier, tried", func() error { return api.Create(ctx, app.DeepCopy(), client.DryRunAll) })
	l.repeat(ctx, "AppTier, made", func() error { return create(app) })
	wrong := app.DeepCopy()
	wrong.Spec.Tiers[0].Ingress = []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Tier: ptr.To("nobody")}}, AllPorts: true}}
	l.repeat(ctx, "AppTier, refused", func() error { return l.refused(api.Create(ctx, wrong.DeepCopy(), client.DryRunAll)) })
	l.repeat(ctx, "NetworkPolicy, tried", func() error { return api.Create(ctx, harmless.DeepCopy(), client.DryRunAll) })
	l.repeat(ctx, "NetworkPolicy, made", func() error { return create(harmless) })
	l.repeat(ctx, "NetworkPolicy, refused", func() error { return l.refused(api.Create(ctx, opening(namespace), client.DryRunAll)) })
	return l
}

// refused turns the refusal that is expected into success.
func (l *load) refused(err error) error {
	switch {
	case err == nil:
		l.mutex.Lock()
		l.unjudged = append(l.unjudged, time.Now())
		l.mutex.Unlock()
		return nil
	case strings.Contains(err.Error(), " is refused:"):
		return nil
	}
	return err
}

func (l *load) repeat(ctx context.Context, kind string, request func() error) {
	l.done.Go(func() {
		ticker := time.NewTicker(loadEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			started := time.Now()
			err := request()
			if ctx.Err() != nil {
				return // stopped half-way
			}
			l.mutex.Lock()
			if err != nil {
				l.failed = append(l.failed, failure{started, kind, err})
			} else {
				l.succeeded[kind]++
			}
			l.mutex.Unlock()
		}
	})
}

// count is how many requests succeeded until now.
func (l *load) count() (sum int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, count := range l.succeeded {
		sum += count
	}
	return sum
}

// end stops the load, and says what became of it. Every kind of request must have been made.
func (l *load) end() {
	GinkgoHelper()
	l.stop()
	l.done.Wait()
	AddReportEntry("requests", fmt.Sprint(l.succeeded))
	GinkgoWriter.Printf("requests that succeeded: %v; failed: %v; not judged: %v\n", l.succeeded, l.failed, l.unjudged)
	Expect(l.succeeded).To(HaveLen(6))
}

// expectUnharmed says that no request failed, and that each was judged.
func (l *load) expectUnharmed() {
	GinkgoHelper()
	l.end()
	Expect(l.failed).To(BeEmpty())
	Expect(l.unjudged).To(BeEmpty())
}
