package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	podsPerSecond = 50
	podLife       = time.Second
	// localShare is one pod of how many that come and go is of this node.
	localShare = 5
	// relabelShare is one pod of how many loses the label that lets it in before it goes.
	relabelShare = 2
)

// churn has pods come and go, each with an address of its own, and measures when the packets of each
// are judged anew.
func (c *scenario) churn(ctx context.Context, lasts time.Duration) error {
	before, err := c.agent.usage(ctx)
	if err != nil {
		return err
	}
	result := &Churn{Before: before.held}
	var mu sync.Mutex
	note := func(to *[]Event, e Event) {
		mu.Lock()
		defer mu.Unlock()
		*to = append(*to, e)
	}
	group, groupContext := errgroup.WithContext(ctx)
	started := time.Now()
	ticker := time.NewTicker(time.Second / podsPerSecond)
	defer ticker.Stop()
	for ; time.Since(started) < lasts && groupContext.Err() == nil; <-ticker.C {
		n := result.Pods
		result.Pods++
		group.Go(func() error { return c.passingPod(groupContext, n, result, note) })
	}
	if err := group.Wait(); err != nil {
		return errors.Join(fmt.Errorf("%s: pods that come and go: %w", c.Name, err), c.agent.complaint())
	}
	result.Seconds = time.Since(started).Seconds()
	after, err := c.agent.usage(ctx)
	if err != nil {
		return err
	}
	result.After, result.Peak, result.Syncs = after.held, after.peak, int(after.syncs-before.syncs)
	result.CPU = milliseconds(after.cpu-before.cpu) / result.Seconds
	c.result.Churn = result
	return nil
}

// passingPod is the n-th pod: it is created, gets its address, perhaps loses its label, and goes.
func (c *scenario) passingPod(ctx context.Context, n int, result *Churn, note func(*[]Event, Event)) error {
	from, node, address := outside, otherNode(0), numbered(remoteRange.Addr(), 200_000+n)
	if n%localShare == 0 {
		// Used again when the one that had it before is long gone.
		from, node, address = farm, nodeName, numbered(farmRange.Addr(), 1+n/localShare%(1<<(32-farmRange.Bits())-2))
	}
	p, err := c.created(ctx, n, node, address)
	if err != nil {
		return err
	}
	f := c.lab.prober.connections(from, address, wired[server])
	defer f.end()
	took, err := c.judged(ctx, f, true, change{watch.Modified, p.Name}, func() error { return updateStatus(ctx, c.plane.client, p) })
	if err != nil {
		return fmt.Errorf("a pod gets its address: %w", err)
	}
	note(&result.Comes, took)
	f.pause()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(podLife):
	}
	f.resume()
	if n/localShare%relabelShare == 0 {
		if took, err = c.judged(ctx, f, false, change{watch.Modified, p.Name}, func() error { return c.relabel(ctx, p.Name) }); err != nil {
			return fmt.Errorf("a pod loses its label: %w", err)
		}
		note(&result.Changes, took)
		f.pause()
		return deletePod(ctx, c.plane.client, p.Name)
	}
	if took, err = c.judged(ctx, f, false, change{watch.Deleted, p.Name}, func() error { return deletePod(ctx, c.plane.client, p.Name) }); err != nil {
		return fmt.Errorf("a pod is deleted: %w", err)
	}
	note(&result.Goes, took)
	return nil
}

// created makes a pod without an address, and returns it with the status that it gets next.
func (c *scenario) created(ctx context.Context, n int, node string, address netip.Addr) (*corev1.Pod, error) {
	p := pod(home, fmt.Sprintf("passing-%d", n), node, map[string]string{"app": peer}, address)
	created, err := c.plane.client.CoreV1().Pods(home).Create(ctx, p, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("creating a pod: %w", err)
	}
	created.Status = p.Status
	return created, nil
}

// judged is an event among many.
func (c *scenario) judged(ctx context.Context, f *flow, passes bool, seen change, call func() error) (Event, error) {
	if !passes {
		if err := f.settle(ctx, true); err != nil {
			return Event{}, err
		}
	}
	started := time.Now()
	if err := call(); err != nil {
		return Event{}, err
	}
	written := time.Now()
	e, t, err := c.outcome(ctx, f, passes, seen, started, written)
	c.result.lock.Lock()
	defer c.result.lock.Unlock()
	c.result.Probes.add(t)
	return e, err
}

func (c *scenario) relabel(ctx context.Context, name string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{"app": guest}}})
	if err != nil {
		return err
	}
	if _, err := c.plane.client.CoreV1().Pods(home).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("changing a pod's label: %w", err)
	}
	return nil
}
