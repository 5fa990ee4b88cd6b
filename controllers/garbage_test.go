package controllers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/apiserver"
)

// When an AppTier is deleted, Kubernetes' own garbage collector takes the policy that denies the
// namespace first, then those of the tiers, and nothing of anyone else's.
func TestDeletionCutsNothing(t *testing.T) {
	config, environment := apiserver.Start(t)
	startGarbageCollector(t, environment.KubeConfig)
	direct := newClient(t, config)
	ctx := t.Context()
	for i := range 5 {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "garbage-"}}
		must(t, direct.Create(ctx, namespace))
		f := &faulty{t: t, direct: direct, namespace: namespace.Name, since: []halves{unprotected}}
		foreign := f.createForeign(ctx)
		app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "x"}}
		must(t, yaml.UnmarshalStrict([]byte(shopInNamespace), &app.Spec))
		must(t, direct.Create(ctx, app))
		f.rollOut(ctx, app)

		var there networkingv1.NetworkPolicyList
		must(t, direct.List(ctx, &there, client.InNamespace(namespace.Name)))
		watcher, err := direct.Watch(ctx, &networkingv1.NetworkPolicyList{}, &client.ListOptions{
			Namespace: namespace.Name, Raw: &metav1.ListOptions{ResourceVersion: there.ResourceVersion},
		})
		must(t, err)
		must(t, direct.Delete(ctx, app))
		if gone := deletions(t, watcher, 3); gone[0] != "x.namespace" {
			t.Errorf("deletion %d: the policies went in the order %s", i, gone)
		}
		watcher.Stop()
		if now := f.readForeign(ctx); fmt.Sprint(now) != fmt.Sprint(foreign) {
			t.Errorf("policies of others changed from %s to %s", foreign, now)
		}
	}
}

// deletions waits for a number of policies to go, and returns their names in that order.
func deletions(t *testing.T, watcher watch.Interface, number int) []string {
	t.Helper()
	var gone []string
	timeout := time.After(time.Minute)
	for len(gone) < number {
		select {
		case event := <-watcher.ResultChan():
			if policy, ok := event.Object.(*networkingv1.NetworkPolicy); ok && event.Type == watch.Deleted {
				gone = append(gone, policy.Name)
			}
		case <-timeout:
			t.Fatalf("only these policies went: %s", gone)
		}
	}
	return gone
}

// startGarbageCollector starts the one of Kubernetes, which ends with the test.
func startGarbageCollector(t *testing.T, kubeconfig []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(file, kubeconfig, 0o600))
	var log strings.Builder
	command := exec.CommandContext(t.Context(), filepath.Join(apiserver.Programs(t), "kube-controller-manager"), "--kubeconfig="+file,
		"--controllers=garbage-collector-controller", "--leader-elect=false", "--secure-port=0")
	command.Stdout, command.Stderr = &log, &log
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Wait() // it was killed with the test's context
		if t.Failed() {
			t.Logf("the garbage collector: %s", log.String())
		}
	})
}
