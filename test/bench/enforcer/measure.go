package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/apptier/apptier/test/bench/process"
)

// Labs are numbered: first those of the clusters, then these.
const (
	firstBaseline = 20
	firstExtra    = 30
	firstAudit    = 40
)

const fewPolicies = "10 policies"

// extras are clusters that matter for the speed of packets alone.
var extras = []size{
	{Name: fewPolicies, Local: 100, Remote: 1000, Policies: 10},
	{Name: "1,000 policies on one pod", Local: 100, Remote: 1000, Policies: 1000, Crowded: true},
	{Name: "300 policies of 50 ports on one pod", Local: 100, Remote: 1000, Policies: 300, Crowded: true, Wide: 48},
}

// measure takes every figure. What is to be compared is measured in turn, round by round, so that what
// else the machine does meets all alike.
func measure(ctx context.Context, o options, p programs) (results *Results, err error) {
	started := time.Now()
	say := func(format string, arguments ...any) {
		fmt.Fprintf(os.Stderr, "%6s  %s\n", time.Since(started).Round(time.Second), fmt.Sprintf(format, arguments...))
	}
	results = &Results{Machine: process.Machine(), Enforcer: p.Version, Kubernetes: p.Kubernetes}
	chosen, err := o.chosen()
	if err != nil {
		return results, err
	}
	lanes, err := baselines(ctx, firstBaseline)
	if err != nil {
		return results, err
	}
	if o.trafficRounds > 0 {
		for i, s := range extras {
			say("the rules of a cluster with %s", s.Name)
			l, err := lasting(ctx, p, s, firstExtra+i)
			if err != nil {
				return results, fmt.Errorf("%s: %w", s.Name, err)
			}
			lanes = append(lanes, l)
		}
	}
	var clusters []*scenario
	for i, s := range chosen {
		say("the cluster %s: %d pods and %d policies", s.Name, s.Local+s.Remote, s.Policies)
		c, err := newScenario(ctx, p, s, i, os.Stderr)
		if err != nil {
			return results, err
		}
		clusters = append(clusters, c)
		results.Clusters = append(results.Clusters, c.result)
	}
	if err := inClusters(ctx, o, clusters, say); err != nil {
		return results, err
	}
	for _, c := range clusters {
		lanes = append(lanes, lane{lab: c.lab, judged: true, result: &Traffic{Rules: fmt.Sprintf("%s: %d policies", c.Name, c.Policies)}})
	}
	for _, l := range lanes {
		results.Traffic = append(results.Traffic, l.result)
	}
	say("the speed of packets under %d sets of rules, %d rounds", len(lanes), o.trafficRounds)
	for range o.trafficRounds {
		// In another order each time: what one leaves behind, the kernel clears away during the next.
		for _, i := range rand.Perm(len(lanes)) {
			l := lanes[i]
			if err := errors.Join(l.check(ctx), l.traffic(ctx, o.burst)); err != nil {
				return results, err
			}
		}
	}
	if o.trafficRounds > 0 {
		if results.Audit, err = audit(ctx, o, p, say); err != nil {
			return results, err
		}
	}
	results.LoadAfter = process.Load()
	say("done")
	return results, nil
}

// inClusters measures what takes an API server and an agent, and leaves the rules behind with the
// client allowed to connect to the server.
func inClusters(ctx context.Context, o options, clusters []*scenario, say func(string, ...any)) error {
	say("starts of the enforcer, %d rounds", o.starts)
	for round := range max(1, o.starts) {
		for _, c := range clusters {
			if err := c.up(ctx); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			if round == o.starts-1 {
				continue
			}
			if err := c.down(ctx); err != nil {
				return err
			}
		}
	}
	if err := eventRounds(ctx, o, clusters, say); err != nil {
		return err
	}
	for _, c := range clusters {
		say("%s: %d changes of policies beside connections that stay allowed", c.Name, o.changes)
		if err := c.steady(ctx, o.changes); err != nil {
			return err
		}
		say("%s: %d pods a second come and go, for %s", c.Name, podsPerSecond, o.churn)
		if err := c.churn(ctx, o.churn); err != nil {
			return err
		}
	}
	for _, c := range clusters {
		if err := c.leave(ctx); err != nil {
			return err
		}
	}
	return nil
}

// eventRounds measures the events, and what they cost the agents.
func eventRounds(ctx context.Context, o options, clusters []*scenario, say func(string, ...any)) error {
	say("events, %d rounds", o.rounds)
	before := make([]usage, len(clusters))
	for i, c := range clusters {
		var err error
		if before[i], err = c.agent.usage(ctx); err != nil {
			return err
		}
	}
	for range o.rounds {
		for _, c := range clusters {
			if err := c.events(ctx); err != nil {
				return err
			}
		}
	}
	for i, c := range clusters {
		after, err := c.agent.usage(ctx)
		if err != nil {
			return err
		}
		c.result.Writes = o.rounds * writesPerRound
		c.result.CPU = milliseconds(after.cpu-before[i].cpu) / float64(max(1, c.result.Writes))
		c.result.Sync = milliseconds(after.syncTime-before[i].syncTime) / max(1, after.syncs-before[i].syncs)
	}
	return nil
}

// let lets the client connect to the server.
func (c *scenario) let(ctx context.Context) error {
	if err := c.open(ctx)(); err != nil {
		return err
	}
	f := c.lab.prober.connections(client, wired[client], wired[server])
	defer f.end()
	return f.settle(ctx, true)
}

// leave does so, and stops the agent; the rules stay.
func (c *scenario) leave(ctx context.Context) error {
	if err := c.let(ctx); err != nil {
		return err
	}
	u, err := c.agent.usage(ctx)
	if err != nil {
		return err
	}
	c.result.Peak = u.peak
	return c.agent.stop()
}

// lasting makes a lab with the rules of a cluster, of which nothing else remains.
func lasting(ctx context.Context, p programs, s size, n int) (l lane, err error) {
	c, err := newScenario(ctx, p, s, n, io.Discard)
	if err != nil {
		return lane{}, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := c.up(ctx); err != nil {
		return lane{}, err
	}
	if err := c.leave(ctx); err != nil {
		return lane{}, err
	}
	return lane{lab: c.lab, judged: true, result: &Traffic{Rules: strings.TrimSpace(s.Name)}}, nil
}
