package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	authors = 4 // who change policies at once
	// changeEvery is how often each of them does: with no pause, many changes would be one sync.
	changeEvery = 20 * time.Millisecond
)

// steady counts the packets that connections lose which stay allowed while policies of both of their
// ends come, change and go.
func (c *scenario) steady(ctx context.Context, changes int) error {
	if err := c.open(ctx)(); err != nil {
		return err
	}
	connections := c.lab.prober.connections(client, wired[client], wired[server])
	defer connections.end()
	if err := connections.settle(ctx, true); err != nil {
		return err
	}
	stream, conn, err := c.lab.stream()
	if err != nil {
		return err
	}
	defer stream.end()
	datagrams, err := c.lab.datagrams()
	if err != nil {
		return err
	}
	defer datagrams.end()
	before, err := c.agent.usage(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for author := range authors {
		group.Go(func() error { return c.write(ctx, author, changes/authors) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	took := time.Since(started)
	ctx = context.WithoutCancel(ctx) // the group's has ended
	for _, f := range []*flow{connections, stream, datagrams} {
		f.pause()
	}
	// What is on its way arrives.
	<-time.After(time.Second)
	after, err := c.agent.usage(ctx)
	if err != nil {
		return err
	}
	result := &Steady{
		Changes: changes / authors * authors, Syncs: int(after.syncs - before.syncs), Seconds: took.Seconds(),
		Denied:      int(after.denied - before.denied),
		Connections: connections.all(), Datagrams: datagrams.all(), Stream: stream.all(),
	}
	if result.Stream.Lost, err = retransmissions(conn); err != nil {
		return err
	}
	c.result.Steady = result
	return c.shut(ctx)()
}

// write makes changes of one policy: it is created, changed and deleted, again and again.
func (c *scenario) write(ctx context.Context, author, changes int) error {
	policies := c.plane.client.NetworkingV1().NetworkPolicies(home)
	var p *networkingv1.NetworkPolicy
	ticker := time.NewTicker(changeEvery)
	defer ticker.Stop()
	for i := range changes {
		<-ticker.C
		var err error
		switch i % 3 {
		case 0:
			app := []string{server, client, bystander}[(i/3+author)%3]
			p = homePolicy(fmt.Sprintf("noise-%d", author), app, peer, guest)
			if app == bystander { // for the client's egress
				p = homePolicies()[0]
				p.Name = fmt.Sprintf("noise-%d", author)
			}
			p, err = policies.Create(ctx, p, metav1.CreateOptions{})
		case 1:
			p.Spec.PodSelector.MatchLabels["app"] = []string{client, server}[i/3%2]
			p, err = policies.Update(ctx, p, metav1.UpdateOptions{})
		case 2:
			err = policies.Delete(ctx, p.Name, metav1.DeleteOptions{})
			p = nil
		}
		if err != nil {
			return fmt.Errorf("changing policies: %w", err)
		}
	}
	if p != nil {
		return policies.Delete(ctx, p.Name, metav1.DeleteOptions{})
	}
	return nil
}
