package patterns_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/test/patterns"
	"github.com/apptier/apptier/test/scenario"
)

const (
	// settles is how long nodes have to follow a change on a busy machine.
	settles = 20 * time.Second
	// probesAtOnce bounds how many programs are started in pods at a time; most wait for nothing.
	probesAtOnce = 12
)

// Each table holds for real packets, IPv4 ones, on the embedded cluster: before the sample is applied
// everybody reaches everybody, then exactly what the table allows.
func TestPackets(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a cluster, which -short leaves out")
	}
	ctrllog.SetLogger(logr.Discard())
	found := all(t)
	l := newLab(t, found)
	for _, p := range found {
		t.Run(p.Name, func(t *testing.T) { l.try(t, p) })
	}
}

func (l *lab) try(t *testing.T, p patterns.Pattern) {
	ctx := t.Context()
	if err := l.furnish(ctx, p.Table); err != nil {
		t.Fatal(err)
	}
	allowed, denied := packets(t, p.Table, p.Table.Allow), packets(t, p.Table, p.Table.Deny)
	l.expect(ctx, t, "before", slices.Concat(want(allowed, true), want(denied, true)))
	for _, stage := range p.Table.Before {
		apps, err := p.Named(stage.Apply)
		if err != nil {
			t.Fatal(err)
		}
		for _, app := range apps {
			if err := l.api.Create(ctx, app.DeepCopy()); err != nil {
				t.Fatal(err)
			}
		}
		l.expect(ctx, t, fmt.Sprintf("with %s alone", stage.Apply), want(packets(t, p.Table, stage.Deny), false))
		l.remove(ctx, t, apps)
	}
	if err := l.kube.Apply(ctx, []byte(p.Sample)); err != nil {
		t.Fatal(err)
	}
	defer l.remove(context.WithoutCancel(ctx), t, p.AppTiers)
	for _, app := range p.AppTiers {
		if err := scenario.WaitAppTier(ctx, l.api, client.ObjectKeyFromObject(app)); err != nil {
			t.Fatal(err)
		}
	}
	l.expect(ctx, t, "denied", want(denied, false)) // so all nodes have followed
	l.expect(ctx, t, "allowed", want(allowed, true))
	for _, check := range checks(t, p.Table, p.Table.Allow) {
		if check.From.Word == patterns.Kubelet {
			if err := l.probed(ctx, check); err != nil {
				t.Errorf("%s: %v", check, err)
			}
		}
	}
}

// remove deletes AppTiers and waits until their policies are gone too.
func (l *lab) remove(ctx context.Context, t *testing.T, apps []*v1alpha1.AppTier) {
	t.Helper()
	for _, app := range apps {
		if err := l.api.Delete(ctx, &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	}
	err := poll(ctx, "the policies are gone", func(ctx context.Context) (bool, error) {
		var policies networkingv1.NetworkPolicyList
		err := l.api.List(ctx, &policies, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
		return len(policies.Items) == 0, err
	})
	if err != nil {
		t.Error(err)
	}
}

// expectation is what a check should find.
type expectation struct {
	patterns.Check
	open bool
}

func want(checks []patterns.Check, open bool) []expectation {
	var all []expectation
	for _, check := range checks {
		all = append(all, expectation{check, open})
	}
	return all
}

func checks(t *testing.T, table patterns.Table, rows ...[]patterns.Row) []patterns.Check {
	t.Helper()
	checks, err := table.Checks(slices.Concat(rows...))
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

// packets are the checks that the cluster's network can carry, but the kubelet's.
func packets(t *testing.T, table patterns.Table, rows []patterns.Row) []patterns.Check {
	t.Helper()
	return slices.DeleteFunc(checks(t, table, rows), func(c patterns.Check) bool {
		return c.From.Address.Is6() || c.To.Address.Is6() || c.From.Word == patterns.Kubelet
	})
}

// expect waits until every check has found what it should.
func (l *lab) expect(ctx context.Context, t *testing.T, when string, wanted []expectation) {
	t.Helper()
	deadline := time.Now().Add(settles)
	for len(wanted) > 0 {
		wrong, err := l.wrong(ctx, wanted)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if len(wrong) > 0 && time.Now().After(deadline) {
			for _, w := range wrong {
				t.Errorf("%s: %s: open is %t, want %t", when, w.Check, !w.open, w.open)
			}
			return
		}
		wanted = wrong
	}
}

// wrong returns the checks that find something else than they should.
func (l *lab) wrong(ctx context.Context, wanted []expectation) ([]expectation, error) {
	differs := make([]bool, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(probesAtOnce)
	for i, w := range wanted {
		group.Go(func() error {
			open, err := l.reaches(ctx, w.Check)
			differs[i] = open != w.open
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var wrong []expectation
	for i, w := range wanted {
		if differs[i] {
			wrong = append(wrong, w)
		}
	}
	return wrong, nil
}

// reaches sends real packets.
func (l *lab) reaches(ctx context.Context, check patterns.Check) (bool, error) {
	if check.To.Word == patterns.DNS {
		return scenario.Resolves(ctx, l.kube, check.From.Pod)
	}
	host := check.To.Address.String()
	if pod, ok := l.pods[check.To.Pod]; ok {
		host = pod.Status.PodIP
	}
	target := net.JoinHostPort(host, strconv.Itoa(int(check.Port)))
	if outside, ok := l.outside[check.From.Address]; ok {
		return outside.Probe(ctx, target, check.Protocol)
	}
	return l.kube.Probe(ctx, check.From.Pod, target, check.Protocol)
}

// probed starts another pod like the one that a check is about, and waits until its kubelet has found
// it ready on the check's port.
func (l *lab) probed(ctx context.Context, check patterns.Check) error {
	like := l.pods[check.To.Pod]
	key := check.To.Pod
	key.Name += "-probed"
	pod := newPod(key, like.Spec.NodeName, map[port]bool{{check.Port, check.Protocol}: true})
	pod.Labels = like.Labels
	if err := l.api.Create(ctx, pod); err != nil {
		return err
	}
	ready := l.awaitReady(ctx, pod)
	if err := l.api.Delete(ctx, pod); err != nil {
		return err
	}
	if ready != nil {
		return ready
	}
	return poll(ctx, "pod "+key.String()+" is gone", func(ctx context.Context) (bool, error) {
		err := l.api.Get(ctx, key, pod)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}
