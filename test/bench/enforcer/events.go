package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// The kinds of events, in the order of the tables.
const (
	policyCloses  = "policy created, closes"
	policyReopens = "policy deleted, opens"
	policyOpens   = "policy created, opens"
	policyShuts   = "policy deleted, closes"
	peerComes     = "remote pod gets its address"
	peerGoes      = "remote pod is deleted"
	localComes    = "local pod gets its address"
	localGoes     = "local pod is deleted"
	streamTCP     = "live TCP stream is cut"
	streamUDP     = "live UDP stream is cut"
)

var eventKinds = []string{
	policyCloses, policyReopens, policyOpens, policyShuts, peerComes, peerGoes, localComes, localGoes, streamTCP, streamUDP,
}

// apart is how long an agent is left alone before an event, so that each is one by itself: many at once
// are what churn measures.
const apart = 60 * time.Millisecond

// writesPerRound is how many writes of objects a round of events makes.
const writesPerRound = 12

// events measures each kind of event once.
func (c *scenario) events(ctx context.Context) error {
	for _, measure := range []func(context.Context) error{c.isolation, c.opening, c.remotePod, c.localPod, c.streams} {
		if err := measure(ctx); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", c.Name, err), c.agent.complaint())
		}
	}
	return nil
}

// isolation: a first policy selects a pod, and no other does when it goes.
func (c *scenario) isolation(ctx context.Context) error {
	f := c.lab.prober.connections(client, wired[client], wired[bystander])
	defer f.end()
	if err := c.event(ctx, policyCloses, false, change{watch.Added, "isolate"}, func() error {
		return createPolicy(ctx, c.plane.client, homePolicy("isolate", bystander, peer, guest))
	}, f); err != nil {
		return err
	}
	return c.event(ctx, policyReopens, true, change{watch.Deleted, "isolate"}, func() error {
		return deletePolicy(ctx, c.plane.client, "isolate")
	}, f)
}

// opening: a policy adds to those that select a pod.
func (c *scenario) opening(ctx context.Context) error {
	f := c.lab.prober.connections(client, wired[client], wired[server])
	defer f.end()
	if err := c.event(ctx, policyOpens, true, change{watch.Added, "open"}, c.open(ctx), f); err != nil {
		return err
	}
	return c.event(ctx, policyShuts, false, change{watch.Deleted, "open"}, c.shut(ctx), f)
}

func (c *scenario) open(ctx context.Context) func() error {
	return func() error { return createPolicy(ctx, c.plane.client, openPolicy()) }
}

func (c *scenario) shut(ctx context.Context) func() error {
	return func() error { return deletePolicy(ctx, c.plane.client, "open") }
}

// remotePod: a peer of a policy comes and goes on another node.
func (c *scenario) remotePod(ctx context.Context) error {
	address := numbered(remoteRange.Addr(), 100_000)
	f := c.lab.prober.connections(outside, address, wired[server])
	defer f.end()
	p := pod(home, peer, otherNode(0), map[string]string{"app": peer}, address)
	return c.comesAndGoes(ctx, p, f, peerComes, peerGoes)
}

// localPod: a pod of this node comes and goes, and is closed when it is not known.
func (c *scenario) localPod(ctx context.Context) error {
	f := c.lab.prober.connections(newcomer, wired[newcomer], wired[server])
	defer f.end()
	p := pod(home, newcomer, nodeName, map[string]string{"app": newcomer}, wired[newcomer])
	return c.comesAndGoes(ctx, p, f, localComes, localGoes)
}

func (c *scenario) comesAndGoes(ctx context.Context, p *corev1.Pod, f *flow, comes, goes string) error {
	created, err := c.plane.client.CoreV1().Pods(home).Create(ctx, p, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a pod: %w", err)
	}
	created.Status = p.Status
	if err := c.event(ctx, comes, true, change{watch.Modified, p.Name}, func() error {
		return updateStatus(ctx, c.plane.client, created)
	}, f); err != nil {
		return err
	}
	return c.event(ctx, goes, false, change{watch.Deleted, p.Name}, func() error {
		return deletePod(ctx, c.plane.client, p.Name)
	}, f)
}

// streams: a policy goes that connections in use depend on.
func (c *scenario) streams(ctx context.Context) error {
	wake := c.lab.prober.connections(client, wired[client], wired[server])
	defer wake.end()
	if err := c.open(ctx)(); err != nil {
		return err
	}
	if err := wake.settle(ctx, true); err != nil {
		return err
	}
	wake.pause()
	stream, _, err := c.lab.stream()
	if err != nil {
		return err
	}
	defer stream.end()
	datagrams, err := c.lab.datagrams()
	if err != nil {
		return err
	}
	defer datagrams.end()
	if err := datagrams.settle(ctx, true); err != nil {
		return err
	}
	return c.event(ctx, streamTCP, false, change{watch.Deleted, "open"}, c.shut(ctx), stream, datagrams)
}

// event makes a call, and measures when a watch tells of it and when the packets of a flow are judged
// by it. A second flow is that of streamUDP.
func (c *scenario) event(ctx context.Context, kind string, passes bool, seen change, call func() error, flows ...*flow) error {
	for _, f := range flows {
		if err := f.settle(ctx, !passes); err != nil {
			return fmt.Errorf("before: %s: %w", kind, err)
		}
	}
	<-time.After(apart)
	started := time.Now()
	if err := call(); err != nil {
		return err
	}
	written := time.Now()
	for i, f := range flows {
		e, t, err := c.outcome(ctx, f, passes, seen, started, written)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		kind := []string{kind, streamUDP}[i]
		c.result.Events[kind] = append(c.result.Events[kind], e)
		c.result.Probes.add(t)
	}
	return nil
}

// outcome waits for what follows from a call: that a watch tells of it, and that packets are judged by it.
func (c *scenario) outcome(ctx context.Context, f *flow, passes bool, seen change, started, written time.Time) (Event, tally, error) {
	judged, t, err := f.await(ctx, passes)
	if err != nil {
		return Event{}, t, err
	}
	if judged.Before(started) {
		return Event{}, t, fmt.Errorf("a packet was judged anew %s before the change", started.Sub(judged))
	}
	told, err := c.watcher.after(ctx, seen, started)
	if err != nil {
		return Event{}, t, err
	}
	return Event{
		Written: milliseconds(written.Sub(started)), Seen: milliseconds(told.Sub(started)), Judged: milliseconds(judged.Sub(started)),
	}, t, nil
}
