package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// load creates namespaces, and in them AppTiers and a pod of each tier, as the scheduler would leave
// it: nothing runs here.
func (b *bench) load(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range b.size.namespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceName(i)}}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"}}
		if err := b.client.Create(ctx, namespace); err != nil {
			return fmt.Errorf("creating a namespace: %w", err)
		}
		if err := b.client.Create(ctx, account); err != nil { // which pods need, and no controller makes here
			return fmt.Errorf("creating a service account: %w", err)
		}
	}
	for i := range b.size.apps {
		group.Go(func() error {
			app := b.app(i)
			if err := b.client.Create(ctx, app); err != nil {
				return fmt.Errorf("creating an AppTier: %w", err)
			}
			for _, tier := range app.Spec.Tiers {
				if err := b.client.Create(ctx, pod(app, tier)); err != nil {
					return fmt.Errorf("creating a pod: %w", err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func namespaceName(i int) string { return fmt.Sprintf("bench-%d", i) }

// app is the i-th AppTier: a chain of tiers, each of which accepts the one before.
func (b *bench) app(i int) *v1alpha1.AppTier {
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespaceName(i % b.size.namespaces),
		Name:      fmt.Sprintf("app-%d", i),
	}}
	from := v1alpha1.Peer{Internet: &v1alpha1.InternetPeer{}}
	for j := range b.size.tiers {
		name := fmt.Sprintf("tier-%d", j)
		app.Spec.Tiers = append(app.Spec.Tiers, v1alpha1.Tier{
			Name:        name,
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": app.Name, "tier": name}},
			Ports:       []v1alpha1.TierPort{{Name: "http", Port: 8080}},
			Ingress:     []v1alpha1.IngressRule{{From: []v1alpha1.Peer{from}}},
		})
		from = v1alpha1.Peer{Tier: &name}
	}
	return app
}

func pod(app *v1alpha1.AppTier, tier v1alpha1.Tier) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name + "-" + tier.Name, Labels: tier.PodSelector.MatchLabels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "main", Image: "example.com/main",
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		}}},
	}
}
