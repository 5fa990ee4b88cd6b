package controllers_test

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/nodereport"
	"github.com/apptier/apptier/policy/programmed"
)

var manyNodes = flag.Int("nodes", 300, "how many nodes report in TestManyNodesReport; docs/limits.md has the figures for 5000")

// fleet are the reporters of many nodes, told of every policy as soon as the API server shows it, as if the kernel took
// no time.
type fleet struct {
	reporters []*nodereport.Reporter
	// under is the namespace of which the first pods nodes have pods.
	under  string
	pods   int
	writes atomic.Int64
}

func (f *fleet) start(ctx context.Context, g *WithT, config *rest.Config, nodes int) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	write, err := nodereport.WriteTo(config)
	g.Expect(err).NotTo(HaveOccurred())
	for i := range nodes {
		r := &nodereport.Reporter{
			Mode: v1alpha1.EnforcerEnforces, Log: logr.Discard(), Node: fmt.Sprintf("n%d", i),
			Owner: func() types.UID { return "uid" }, Problems: func() []health.Problem { return nil },
			Reported: func(programmed.Versions) {},
			Write: func(ctx context.Context, report nodereport.Report) error {
				err := write(ctx, report)
				if err == nil {
					f.writes.Add(1)
				}
				return err
			},
		}
		f.reporters = append(f.reporters, r)
		go r.Run(ctx)
	}
}

// saw has every node commit an event about a policy.
func (f *fleet) saw(namespace, version string) {
	commit := nodereport.Commit{Versions: programmed.Versions{NetworkPolicies: programmed.ParseVersion(version)}}
	for i, r := range f.reporters {
		commit.Owed = programmed.Nothing
		if namespace == f.under && i < f.pods {
			commit.Owed = programmed.Now
		}
		r.Committed(commit)
	}
}

func (f *fleet) follow(events <-chan watch.Event) {
	for e := range events {
		if policy, ok := e.Object.(*networkingv1.NetworkPolicy); ok {
			f.saw(policy.Namespace, policy.ResourceVersion)
		}
	}
}

// A rollout makes those nodes write that have pods under it, and a change elsewhere none.
func TestManyNodesReport(t *testing.T) {
	c := startController(t)
	nodes, on := *manyNodes, *manyNodes/25
	n := onNodes{cluster: c, ctx: t.Context(), app: shop(c.newNamespace(t.Context()))}
	f := &fleet{under: n.app.Namespace, pods: on}
	f.start(n.ctx, n.WithT, c.config, nodes)
	events, err := n.watching().Watch(n.ctx, &networkingv1.NetworkPolicyList{})
	n.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(events.Stop)
	var statuses atomic.Int64
	apps, err := n.watching().Watch(n.ctx, &v1alpha1.AppTierList{})
	n.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(apps.Stop)
	go func() {
		for range apps.ResultChan() {
			statuses.Add(1)
		}
	}()
	began := time.Now()
	f.saw("", "1")
	n.Eventually(f.writes.Load, 5*time.Minute, 100*time.Millisecond).Should(BeEquivalentTo(nodes))
	t.Logf("%d nodes start: %d writes in %v", nodes, f.writes.Load(), time.Since(began).Round(time.Millisecond))
	go f.follow(events.ResultChan())
	for i := range on {
		n.pod(fmt.Sprintf("web-%d", i), fmt.Sprintf("n%d", i), "web")
	}

	n.Expect(n.Create(n.ctx, n.app)).To(Succeed())
	for _, change := range []string{"created", "changed"} {
		before, written, began := f.writes.Load(), statuses.Load(), time.Now()
		if change == "changed" {
			n.Expect(n.Get(n.ctx, types.NamespacedName{Namespace: n.app.Namespace, Name: n.app.Name}, n.app)).To(Succeed())
			n.app.Spec.Tiers[0].Ports[0].Port++
			n.Expect(n.Update(n.ctx, n.app)).To(Succeed())
		}
		n.becomes(fmt.Sprintf("True AllNodes %d/%d", on, on))
		took := time.Since(began)
		wrote := f.writes.Load() - before
		t.Logf("an AppTier on %d of %d nodes %s: %d writes of reports, %d of the AppTier, programmed after %v",
			on, nodes, change, wrote, statuses.Load()-written, took.Round(time.Millisecond))
		n.Expect(wrote).To(And(BeNumerically(">=", on), BeNumerically("<=", 2*on)), "each of these nodes once, or twice")
	}

	before := f.writes.Load()
	elsewhere := c.newNamespace(n.ctx)
	for i := range 200 {
		n.Expect(n.Create(n.ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: elsewhere, Name: "p" + strconv.Itoa(i)}})).To(Succeed())
	}
	n.Consistently(f.writes.Load, 4*time.Second, time.Second).Should(Equal(before), "what changes elsewhere is no news")
}
