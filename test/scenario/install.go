// Package scenario installs apptier and an example application on the embedded cluster, measures
// who can talk to whom there, and predicts the same with policy/reach. The demo and the end-to-end
// tests tell their stories with it.
package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/webhooks/probe"
)

// pollEvery is how often a condition of the cluster is looked at.
const pollEvery = 100 * time.Millisecond

// Cluster is what a scenario needs of one: *cluster.Cluster, or cluster.Existing for one that somebody else has made.
type Cluster interface {
	RESTConfig() (*rest.Config, error)
	Apply(ctx context.Context, manifests []byte) error
	Exec(ctx context.Context, pod types.NamespacedName, container string, argv ...string) (stdout, stderr string, err error)
	Probe(ctx context.Context, pod types.NamespacedName, target string, protocol corev1.Protocol) (reachable bool, err error)
}

// Images builds the project's images as tars.
func Images(ctx context.Context) ([]string, error) {
	images := []build.GoImage{build.ManagerImage(), build.EnforcerImage()}
	tars := make([]string, len(images))
	group, ctx := errgroup.WithContext(ctx)
	for i, image := range images {
		group.Go(func() (err error) {
			tars[i], err = image.Write(ctx)
			return err
		})
	}
	return tars, group.Wait()
}

// Install loads the project's images and applies config/default, as "make deploy" does, then waits
// until the manager and the enforcers are ready.
func Install(ctx context.Context, c *cluster.Cluster, images []string) error {
	if err := c.Load(ctx, images...); err != nil {
		return err
	}
	return InstallLoaded(ctx, c)
}

// AuditPeriod is how long an AppTier is audited here: nobody waits for a day.
const AuditPeriod = 15 * time.Second

// InstallLoaded does so where the images are, and has AppTiers audited for AuditPeriod.
func InstallLoaded(ctx context.Context, c Cluster) error {
	install, err := manifests.Kustomize(ctx, "config", "default")
	if err != nil {
		return err
	}
	before := []byte("        - --connections-port=9444\n")
	if !bytes.Contains(install, before) {
		return errors.New("the manager's arguments are not where they were expected")
	}
	period := fmt.Appendf(slices.Clone(before), "        - --audit-period=%s\n", AuditPeriod)
	return InstallManifests(ctx, c, bytes.Replace(install, before, period, 1))
}

// InstallManifests does so with other manifests, also where others are installed already.
func InstallManifests(ctx context.Context, c Cluster, install []byte) error {
	if err := c.Apply(ctx, install); err != nil {
		return err
	}
	api, err := Client(c)
	if err != nil {
		return err
	}
	return eventually(ctx, "apptier is ready", func(ctx context.Context) (string, error) { return installed(ctx, api) })
}

// installed says what is not ready yet, or "".
func installed(ctx context.Context, api client.Client) (string, error) {
	var manager appsv1.Deployment
	if err := api.Get(ctx, client.ObjectKey{Namespace: manifests.Namespace, Name: "apptier-manager"}, &manager); err != nil {
		return "", err
	}
	if s, want := manager.Status, *manager.Spec.Replicas; s.ObservedGeneration != manager.Generation || s.Replicas != want ||
		s.UpdatedReplicas != want || s.AvailableReplicas != want {
		return "the manager is not available", nil
	}
	var enforcer appsv1.DaemonSet
	if err := api.Get(ctx, client.ObjectKey{Namespace: manifests.EnforcerNamespace, Name: "apptier-enforcer"}, &enforcer); err != nil {
		return "", err
	}
	if s := enforcer.Status; s.ObservedGeneration != enforcer.Generation || s.DesiredNumberScheduled == 0 ||
		s.UpdatedNumberScheduled != s.DesiredNumberScheduled || s.NumberAvailable != s.DesiredNumberScheduled {
		return fmt.Sprintf("%d of %d enforcers are available", s.NumberAvailable, s.DesiredNumberScheduled), nil
	}
	return unjudged(ctx, api)
}

// unjudged says whether the API server does not ask the webhook yet, which fails open.
func unjudged(ctx context.Context, api client.Client) (string, error) {
	asked, err := probe.Asked(ctx, api, metav1.NamespaceDefault)
	if err != nil || asked {
		return "", err
	}
	return "the API server does not ask the webhook", nil
}

// Client is a client of the cluster's API, for AppTiers too.
func Client(c Cluster) (client.Client, error) {
	scheme := k8sruntime.NewScheme()
	for _, add := range []func(*k8sruntime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	config, err := c.RESTConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = -1, -1 // a test waits for nothing but the cluster
	return client.New(config, client.Options{Scheme: scheme})
}

// eventually waits for up to two minutes until nothing is missing, and says what is if something
// stays so.
func eventually(ctx context.Context, what string, missing func(context.Context) (string, error)) error {
	var last string
	err := wait.PollUntilContextTimeout(ctx, pollEvery, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		var err error
		last, err = missing(ctx)
		return err == nil && last == "", err
	})
	if err != nil && last != "" {
		return fmt.Errorf("waiting until %s: %s: %w", what, last, err)
	}
	if err != nil {
		return fmt.Errorf("waiting until %s: %w", what, err)
	}
	return nil
}

// CreateNamespace creates a namespace, and waits until pods may be made in it: a controller gives it the account that pods
// have by default.
func CreateNamespace(ctx context.Context, api client.Client, name string) error {
	if err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return eventually(ctx, "namespace "+name+" has its default account", func(ctx context.Context) (string, error) {
		err := api.Get(ctx, client.ObjectKey{Namespace: name, Name: "default"}, &corev1.ServiceAccount{})
		if apierrors.IsNotFound(err) {
			return "the account default", nil
		}
		return "", err
	})
}

// podsReady says which pod of the namespaces is not ready, or "".
func podsReady(ctx context.Context, api client.Client, namespaces ...string) (string, error) {
	for _, namespace := range namespaces {
		var pods corev1.PodList
		if err := api.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
			return "", err
		}
		for _, pod := range pods.Items {
			if !isReady(&pod) {
				return "pod " + pod.Namespace + "/" + pod.Name + " is not ready", nil
			}
		}
	}
	return "", nil
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// WaitAppTier waits until the policies of an AppTier's current spec are in the API server.
func WaitAppTier(ctx context.Context, api client.Client, key client.ObjectKey) error {
	return eventually(ctx, "AppTier "+key.String()+" is ready", func(ctx context.Context) (string, error) {
		var app v1alpha1.AppTier
		if err := api.Get(ctx, key, &app); err != nil {
			return "", err
		}
		if app.Status.ObservedGeneration != app.Generation || !apimeta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Sprintf("conditions %v", app.Status.Conditions), nil
		}
		return "", nil
	})
}
