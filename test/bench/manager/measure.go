package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/apptier/apptier/internal/testenv/repository"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/test/bench/process"
)

// row is a line of the result.
type row struct{ what, measured string }

// bench is an API server and the manager's program.
type bench struct {
	client client.WithWatch
	rest   rest.Interface
	dir    string
	token  string
	size   size
}

func newBench(ctx context.Context, config *rest.Config, kubeconfig []byte, dir string, s size) (*bench, error) {
	scheme := kruntime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	discovery, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	b := &bench{client: c, rest: discovery.RESTClient(), dir: dir, size: s}
	if err := os.WriteFile(filepath.Join(dir, "kubeconfig"), kubeconfig, 0o600); err != nil {
		return nil, err
	}
	if b.token, err = b.metricsToken(ctx); err != nil {
		return nil, err
	}
	root, err := repository.Dir(ctx)
	if err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, "manager"), "./cmd/manager")
	build.Dir, build.Stderr = root, os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("building the manager: %w", err)
	}
	return b, nil
}

// metricsToken makes an account that may read metrics, as Prometheus would have one.
func (b *bench) metricsToken(ctx context.Context) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "reader"}}
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: account.Namespace, Name: account.Name}},
	}
	for _, object := range []client.Object{account, role, binding} {
		if err := b.client.Create(ctx, object); err != nil {
			return "", fmt.Errorf("creating a reader of metrics: %w", err)
		}
	}
	var request authenticationv1.TokenRequest
	if err := b.client.SubResource("token").Create(ctx, account, &request); err != nil {
		return "", fmt.Errorf("asking for a token: %w", err)
	}
	return request.Status.Token, nil
}

// measure takes every figure.
func (b *bench) measure(ctx context.Context) ([]row, error) {
	if err := b.load(ctx); err != nil {
		return nil, err
	}
	first, err := b.startManager(ctx)
	if err != nil {
		return nil, err
	}
	cold, err := b.untilReady(ctx, first)
	if err != nil {
		return nil, errors.Join(err, first.stop())
	}
	settled, err := b.untilIdle(ctx, first, cold)
	if err != nil {
		return nil, errors.Join(err, first.stop())
	}
	cpu, err := process.CPU(first.command.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, first.stop())
	}
	changes, err := b.changes(ctx)
	if err != nil {
		return nil, errors.Join(err, first.stop())
	}
	if _, err := b.untilIdle(ctx, first, 0); err != nil {
		return nil, errors.Join(err, first.stop())
	}
	most, err := process.Mebibytes(first.command.Process.Pid, "VmHWM")
	if err := errors.Join(err, first.stop()); err != nil {
		return nil, err
	}
	before, err := b.writes(ctx)
	if err != nil {
		return nil, err
	}
	second, err := b.startManager(ctx)
	if err != nil {
		return nil, err
	}
	again, err := b.untilIdle(ctx, second, 0)
	after, writesErr := b.writes(ctx)
	memory, memoryErr := process.Mebibytes(second.command.Process.Pid, "VmRSS")
	if err := errors.Join(err, writesErr, memoryErr, second.stop()); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%d AppTiers of %d tiers", b.size.apps, b.size.tiers)
	return []row{
		{what + ", a cold manager to all Ready", round(cold)},
		{"requests of the manager for that", settled.requests},
		{"processor time of the manager for that", round(cpu)},
		{"a second pass over them, by a restarted manager", again.took},
		{"writes of the second pass", fmt.Sprint(after - before)},
		{"requests of the second pass", again.requests},
		{fmt.Sprintf("one changed AppTier among them, until its NetworkPolicy is seen: median of %d", len(changes)), round(changes[len(changes)/2])},
		{"the same, slowest of a hundred", round(changes[len(changes)*99/100])},
		{"the manager's memory, most ever", fmt.Sprintf("%.0f MiB", most)},
		{"the manager's memory after the second pass", fmt.Sprintf("%.0f MiB", memory)},
	}, nil
}

func round(d time.Duration) string {
	if d > time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// untilReady waits until every AppTier is, and says how long that took since the manager's start.
func (b *bench) untilReady(ctx context.Context, m *manager) (took time.Duration, err error) {
	err = wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, 10*time.Minute, true, func(ctx context.Context) (bool, error) {
		var apps v1alpha1.AppTierList
		if err := b.client.List(ctx, &apps); err != nil {
			return false, err
		}
		took = time.Since(m.started)
		for _, app := range apps.Items {
			if !meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionReady) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return took, fmt.Errorf("waiting for the AppTiers: %w", err)
	}
	return took, nil
}

// work is what a manager did, from its own metrics.
type work struct{ took, requests string }

// untilIdle waits until the manager has seen to every AppTier and has nothing left to do.
func (b *bench) untilIdle(ctx context.Context, m *manager, atLeast time.Duration) (work, error) {
	var done work
	took := atLeast
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, 10*time.Minute, true, func(ctx context.Context) (bool, error) {
		metrics, err := m.metrics(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // not up yet
		}
		took = max(atLeast, time.Since(m.started))
		const controller = `controller="apptier"`
		if metrics.Sum("controller_runtime_reconcile_total", controller) < float64(b.size.apps) ||
			metrics.Sum("workqueue_depth", controller)+metrics.Sum("controller_runtime_active_workers", controller) > 0 {
			return false, nil
		}
		done = work{
			took:     round(took),
			requests: fmt.Sprintf("%.0f", metrics.Sum("rest_client_requests_total")),
		}
		return true, nil
	})
	if err != nil {
		return done, fmt.Errorf("waiting for the manager to be idle: %w", err)
	}
	return done, nil
}

// writes counts, in the API server's own metrics, the requests that may have changed what the manager
// writes.
func (b *bench) writes(ctx context.Context) (total float64, err error) {
	text, err := b.rest.Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	metrics, err := process.ParseMetrics(bytes.NewReader(text))
	for _, group := range []string{v1alpha1.GroupVersion.Group, networkingv1.GroupName, "events.k8s.io"} {
		for _, verb := range []string{"POST", "PUT", "PATCH", "APPLY", "DELETE"} {
			total += metrics.Sum("apiserver_request_total", `group="`+group+`"`, `verb="`+verb+`"`)
		}
	}
	return total, err
}

// changes measures again and again how long one changed port takes from before the AppTier is updated
// until its NetworkPolicy is seen. Sorted.
func (b *bench) changes(ctx context.Context) (took []time.Duration, err error) {
	watcher, err := b.client.Watch(ctx, &networkingv1.NetworkPolicyList{})
	if err != nil {
		return nil, fmt.Errorf("watching NetworkPolicies: %w", err)
	}
	defer watcher.Stop()
	for i := range b.size.samples {
		app := b.app(i * 7 % b.size.apps)
		if err := b.client.Get(ctx, client.ObjectKeyFromObject(app), app); err != nil {
			return nil, err
		}
		port := int32(9000 + i)
		last := &app.Spec.Tiers[len(app.Spec.Tiers)-1]
		last.Ports[0].Port = port
		started := time.Now()
		if err := b.client.Update(ctx, app); err != nil {
			return nil, fmt.Errorf("changing an AppTier: %w", err)
		}
		if err := seen(ctx, watcher, app.Name+".tier."+last.Name, port); err != nil {
			return nil, err
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	return took, nil
}

// seen waits for a policy that opens a port.
func seen(ctx context.Context, watcher watch.Interface, name string, port int32) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, ok := <-watcher.ResultChan():
			if !ok {
				return errors.New("the watch ended")
			}
			policy, isPolicy := event.Object.(*networkingv1.NetworkPolicy)
			if isPolicy && policy.Name == name && len(policy.Spec.Ingress) > 0 && policy.Spec.Ingress[0].Ports[0].Port.IntVal == port {
				return nil
			}
		}
	}
}
