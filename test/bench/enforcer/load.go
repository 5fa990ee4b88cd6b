package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// atATime is how many requests are made to an API server at once.
const atATime = 16

// load creates the objects of a cluster, and tells its progress.
func load(ctx context.Context, c kubernetes.Interface, s size, progress io.Writer) error {
	var done atomic.Int64
	total := s.Local + s.Remote + s.Policies
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	finished := make(chan error)
	go func() { finished <- loadAll(ctx, c, s, &done) }()
	for {
		select {
		case err := <-finished:
			return err
		case <-ticker.C:
			fmt.Fprintf(progress, "  %s: %d of %d pods and policies are there\n", s.Name, done.Load(), total)
		}
	}
}

func loadAll(ctx context.Context, c kubernetes.Interface, s size, done *atomic.Int64) error {
	if err := loadBase(ctx, c, s); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	count := func(f func() error) {
		group.Go(func() error {
			defer done.Add(1)
			return f()
		})
	}
	for _, p := range s.pods() {
		count(func() error { return createPod(ctx, c, p) })
	}
	for _, p := range s.policies() {
		count(func() error { return createPolicy(ctx, c, p) })
	}
	for _, p := range homePods() {
		count(func() error { return createPod(ctx, c, p) })
	}
	for _, p := range homePolicies() {
		count(func() error { return createPolicy(ctx, c, p) })
	}
	return group.Wait()
}

// loadBase creates what the others are in.
func loadBase(ctx context.Context, c kubernetes.Interface, s size) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	for _, name := range append(s.namespaces(), home) {
		group.Go(func() error {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
			if _, err := c.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("creating a namespace: %w", err)
			}
			return nil
		})
	}
	for _, n := range s.nodes() {
		group.Go(func() error { return createNode(ctx, c, n) })
	}
	return group.Wait()
}

// The apps of the namespace home are its pods, and these.
const (
	peer  = "peer"  // on other nodes: may connect to the server
	guest = "guest" // no pod
)

func homePods() []*corev1.Pod {
	var pods []*corev1.Pod
	for _, name := range []string{client, server, bystander} {
		pods = append(pods, pod(home, name, nodeName, map[string]string{"app": name}, wired[name]))
	}
	return pods
}

// homePolicies isolate the client and the server. The client may not connect to the server yet.
func homePolicies() []*networkingv1.NetworkPolicy {
	egress := homePolicy("client", client, server, bystander)
	egress.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	egress.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: egress.Spec.Ingress[0].From, Ports: egress.Spec.Ingress[0].Ports}}
	egress.Spec.Ingress = nil
	return []*networkingv1.NetworkPolicy{egress, homePolicy("server", server, peer, newcomer)}
}

// openPolicy lets the client connect to the server.
func openPolicy() *networkingv1.NetworkPolicy { return homePolicy("open", server, client, guest) }

// createPod creates a pod and then writes its status, as the API server wants it.
func createPod(ctx context.Context, c kubernetes.Interface, p *corev1.Pod) error {
	created, err := c.CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a pod: %w", err)
	}
	created.Status = p.Status
	return updateStatus(ctx, c, created)
}

func updateStatus(ctx context.Context, c kubernetes.Interface, p *corev1.Pod) error {
	if _, err := c.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing a pod's status: %w", err)
	}
	return nil
}

// deletePod is what the kubelet does when a pod's containers have ended.
func deletePod(ctx context.Context, c kubernetes.Interface, name string) error {
	at := int64(0)
	if err := c.CoreV1().Pods(home).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &at}); err != nil {
		return fmt.Errorf("deleting a pod: %w", err)
	}
	return nil
}

func createPolicy(ctx context.Context, c kubernetes.Interface, p *networkingv1.NetworkPolicy) error {
	if _, err := c.NetworkingV1().NetworkPolicies(p.Namespace).Create(ctx, p, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating a policy: %w", err)
	}
	return nil
}

func deletePolicy(ctx context.Context, c kubernetes.Interface, name string) error {
	if err := c.NetworkingV1().NetworkPolicies(home).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting a policy: %w", err)
	}
	return nil
}

func createNode(ctx context.Context, c kubernetes.Interface, n *corev1.Node) error {
	created, err := c.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a node: %w", err)
	}
	created.Status = n.Status
	if _, err := c.CoreV1().Nodes().UpdateStatus(ctx, created, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing a node's status: %w", err)
	}
	return nil
}
