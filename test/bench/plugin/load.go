package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// atATime is how many requests are made to the API server at once.
const atATime = 16

func namespaceName(i int) string { return fmt.Sprintf("team-%d", i) }

// load creates the objects, pods as the kubelet would leave them: nothing runs here.
func load(ctx context.Context, config *rest.Config, s size) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	n := 0
	for i := range s.namespaces {
		if err := createNamespace(ctx, api, namespaceName(i)); err != nil {
			return cmp.Or(group.Wait(), err) // what failed first ended the context
		}
		for j := range s.apps {
			app := newApp(namespaceName(i), j, s)
			created := app.DeepCopy() // the API server's answer is written into it
			group.Go(func() error { return createApp(ctx, api, created) })
			for _, tier := range app.Spec.Tiers {
				for replica := range s.replicas {
					n++
					p := newPod(app, tier, replica, n)
					group.Go(func() error { return createPod(ctx, api, p) })
				}
			}
		}
	}
	return group.Wait()
}

func createNamespace(ctx context.Context, api client.Client, name string) error {
	if err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return fmt.Errorf("creating a namespace: %w", err)
	}
	// Pods need it, and no controller makes it here.
	if err := api.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "default"}}); err != nil {
		return fmt.Errorf("creating a service account: %w", err)
	}
	return nil
}

// createApp creates an AppTier, and its policies as the manager would.
func createApp(ctx context.Context, api client.Client, app *v1alpha1.AppTier) error {
	policies := expand.Expand(app, expand.Environment{}).Policies
	if err := api.Create(ctx, app); err != nil {
		return fmt.Errorf("creating an AppTier: %w", err)
	}
	for _, policy := range policies {
		for i := range policy.OwnerReferences {
			policy.OwnerReferences[i].UID = app.UID
		}
		if err := api.Create(ctx, policy); err != nil {
			return fmt.Errorf("creating a policy: %w", err)
		}
	}
	return nil
}

// createPod creates a pod and then writes its status, as the API server wants it.
func createPod(ctx context.Context, api client.Client, p *corev1.Pod) error {
	status := p.Status
	if err := api.Create(ctx, p); err != nil {
		return fmt.Errorf("creating a pod: %w", err)
	}
	p.Status = status
	if err := api.Status().Update(ctx, p); err != nil {
		return fmt.Errorf("writing a pod's status: %w", err)
	}
	return nil
}

// newApp is an AppTier: a chain of tiers, each of which accepts the one before.
func newApp(namespace string, number int, s size) *v1alpha1.AppTier {
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("app-%d", number)}}
	from := v1alpha1.Peer{Internet: &v1alpha1.InternetPeer{}}
	for j := range s.tiers {
		name := fmt.Sprintf("tier-%d", j)
		app.Spec.Tiers = append(app.Spec.Tiers, v1alpha1.Tier{
			Name:        name,
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": app.Name, "tier": name}},
			Ports:       []v1alpha1.TierPort{{Port: 8080}},
			Ingress:     []v1alpha1.IngressRule{{From: []v1alpha1.Peer{from}}},
		})
		from = v1alpha1.Peer{Tier: &name}
	}
	return app
}

// newPod is a pod of a ReplicaSet of a Deployment.
func newPod(app *v1alpha1.AppTier, tier v1alpha1.Tier, replica, number int) *corev1.Pod {
	set := fmt.Sprintf("%s-%s-5d4c7b9f6c", app.Name, tier.Name)
	labels := map[string]string{"pod-template-hash": "5d4c7b9f6c"}
	for key, value := range tier.PodSelector.MatchLabels {
		labels[key] = value
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: app.Namespace, Name: fmt.Sprintf("%s-%05d", set, replica), Labels: labels,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: set, UID: "0a000000-0000-0000-0000-000000000000", Controller: ptr.To(true),
			}},
		},
		Spec: corev1.PodSpec{NodeName: fmt.Sprintf("node-%d", number/100), Containers: []corev1.Container{{
			Name: "main", Image: "example.com/main", Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
		}}},
	}
	address := netip.AddrFrom4([4]byte{10, byte(1 + number>>16), byte(number >> 8), byte(number)}).String()
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}}
	return p
}
