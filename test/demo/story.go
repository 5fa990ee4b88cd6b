package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/apptier/apptier/internal/testenv/manifests"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/demo/preview"
	"github.com/apptier/apptier/test/scenario"
)

// story is the demo, a chapter a method.
type story struct {
	started time.Time
	images  []string
	cluster scenario.Cluster
	// kubeconfig is the cluster's.
	kubeconfig string
	client     client.Client
}

// tell starts a chapter.
func (s *story) tell(title string) {
	fmt.Printf("\n\033[1m[%3ds] %s\033[0m\n", int(time.Since(s.started).Seconds()), title)
}

func (s *story) build(ctx context.Context) (err error) {
	s.tell("Building what the cluster and apptier are made of (kept for next time)")
	if _, err := build.All(ctx, os.Stdout); err != nil {
		return err
	}
	s.images, err = scenario.Images(ctx)
	return err
}

func (s *story) boot(ctx context.Context) error {
	s.tell("Booting a Kubernetes of two nodes, each a network namespace")
	booted, err := cluster.Up(ctx, cluster.Options{Name: name, Progress: os.Stdout})
	if err != nil {
		return err
	}
	if err := booted.Load(ctx, s.images...); err != nil {
		return err
	}
	s.cluster, s.kubeconfig = booted, booted.Kubeconfig()
	s.client, err = scenario.Client(s.cluster)
	return err
}

// join takes the cluster that the user has, and looks whether the demo would overwrite something there.
func (s *story) join(ctx context.Context) (err error) {
	s.tell("Using the cluster of " + s.kubeconfig)
	s.cluster = cluster.Existing(s.kubeconfig)
	if s.client, err = scenario.Client(s.cluster); err != nil {
		return err
	}
	return scenario.Free(ctx, s.client)
}

func (s *story) install(ctx context.Context) error {
	s.tell("Installing apptier: config/default, as make deploy does")
	return scenario.InstallLoaded(ctx, s.cluster)
}

func (s *story) deploy(ctx context.Context) error {
	s.tell("Starting a shop of three tiers on both nodes, and a visitor in another namespace")
	return scenario.DeployShop(ctx, s.cluster)
}

func (s *story) before(ctx context.Context) error {
	s.tell("Before any policy, everyone reaches everyone")
	return s.measure(ctx)
}

func (s *story) apply(ctx context.Context) error {
	s.tell("Enforcing it")
	if err := s.applySample(ctx, declareReport); err != nil {
		return err
	}
	var policies networkingv1.NetworkPolicyList
	if err := s.client.List(ctx, &policies, client.InNamespace(scenario.Shop.Namespace)); err != nil {
		return fmt.Errorf("listing the generated NetworkPolicies: %w", err)
	}
	fmt.Println("NetworkPolicies generated from it:")
	for _, policy := range policies.Items {
		fmt.Println("  " + policy.Name)
	}
	return nil
}

// applySample applies config/samples/shop.yaml with a change, and waits until its policies are there.
func (s *story) applySample(ctx context.Context, change func(*v1alpha1.AppTierSpec)) error {
	sample, err := manifests.Kustomize(ctx, "config", "samples")
	if err != nil {
		return err
	}
	var app v1alpha1.AppTier
	if err := yaml.UnmarshalStrict(sample, &app); err != nil {
		return fmt.Errorf("reading the sample: %w", err)
	}
	change(&app.Spec)
	text, err := yaml.Marshal(&app)
	if err != nil {
		return fmt.Errorf("writing the sample: %w", err)
	}
	if err := s.cluster.Apply(ctx, text); err != nil {
		return err
	}
	return scenario.WaitAppTier(ctx, s.client, scenario.Shop)
}

func (s *story) after(ctx context.Context) error {
	s.tell("After: frontend to api, api to database, everyone to frontend, the job to database, DNS for all; nothing else")
	if err := s.settle(ctx); err != nil {
		return err
	}
	return s.measure(ctx)
}

// settle waits until the nodes filter by the new policies: one connection that must be refused is.
func (s *story) settle(ctx context.Context) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		return scenario.Isolated(ctx, s.cluster)
	})
}

// measure prints the measured matrix and compares it with the prediction, cell by cell.
func (s *story) measure(ctx context.Context) error {
	predicted, err := scenario.Predict(ctx, s.client)
	if err != nil {
		return err
	}
	measured, err := scenario.Measure(ctx, s.cluster)
	if err != nil {
		return err
	}
	fmt.Println(measured)
	if cells := measured.Differences(predicted); len(cells) > 0 {
		return fmt.Errorf("%w: %s", errDiffers, strings.Join(cells, "; "))
	}
	fmt.Printf("Every cell is as policy/reach predicts (%d connections tried from inside the pods).\n",
		len(measured.Sources)*len(measured.Destinations))
	return nil
}

func (s *story) reject(ctx context.Context) error {
	s.tell("An AppTier with two mistakes is refused, with the fix in the message")
	app := &v1alpha1.AppTier{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AppTier"}}
	if err := yaml.UnmarshalStrict([]byte(preview.Mistake), app); err != nil {
		return fmt.Errorf("reading the mistake: %w", err)
	}
	fmt.Println(strings.TrimSpace(preview.Mistake) + "\n")
	err := s.client.Create(ctx, app)
	if err == nil {
		return fmt.Errorf("%w: the API server took an AppTier that must be refused", errDiffers)
	}
	fmt.Println("Error from server:", err)
	return nil
}
