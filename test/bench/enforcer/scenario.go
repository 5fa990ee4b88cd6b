package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
)

// scenario is one size of a cluster, as the enforcer of one of its nodes sees it.
type scenario struct {
	size
	lab     *lab
	plane   *controlPlane
	agent   *agent
	watcher *watcher
	unwatch context.CancelFunc
	result  *Cluster
}

// newScenario makes the n-th cluster; its agent does not run yet. What it starts ends with the bench.
func newScenario(ctx context.Context, programs programs, s size, n int, progress io.Writer) (c *scenario, err error) {
	c = &scenario{size: s, result: &Cluster{Size: s, Events: map[string][]Event{}}}
	if c.lab, err = newLab(n); err != nil {
		return nil, err
	}
	kinds := ""
	if s.Kinds {
		kinds = programs.Kinds
	}
	if c.plane, err = startControlPlane(programs.Assets, kinds, n); err != nil {
		return nil, err
	}
	if err := load(ctx, c.plane.client, s, progress); err != nil {
		return nil, fmt.Errorf("loading the cluster %s: %w", s.Name, err)
	}
	if s.Staged {
		if err := c.plane.stage(ctx, append(s.policies(), homePolicies()...)); err != nil {
			return nil, err
		}
	}
	watching, unwatch := context.WithCancel(ctx)
	c.unwatch = unwatch
	if c.watcher, err = newWatcher(watching, c.plane.client); err != nil {
		return nil, err
	}
	c.agent = &agent{
		program: programs.Enforcer, lab: c.lab, kubeconfig: c.plane.kubeconfig,
		log: filepath.Join(os.TempDir(), s.Name+".log"),
	}
	return c, nil
}

// up starts the agent on a node without rules, and measures how soon these are in force: by what
// the agent says, and by a packet that they forbid.
func (c *scenario) up(ctx context.Context) error {
	forbidden := c.lab.prober.connections(client, wired[client], wired[server])
	defer forbidden.end()
	if err := forbidden.settle(ctx, true); err != nil {
		return fmt.Errorf("without rules: %w", err)
	}
	if err := c.agent.start(); err != nil {
		return err
	}
	ready, err := c.agent.ready(ctx)
	if err != nil {
		return err
	}
	judged, _, err := forbidden.await(ctx, false)
	if err != nil {
		return errors.Join(fmt.Errorf("with the enforcer ready: %w", err), c.agent.complaint())
	}
	allowed := c.lab.prober.connections(client, wired[client], wired[bystander])
	defer allowed.end()
	if err := allowed.settle(ctx, true); err != nil {
		return fmt.Errorf("what policies allow: %w", err)
	}
	u, err := c.agent.usage(ctx)
	if err != nil {
		return err
	}
	listed, err := c.list(ctx)
	if err != nil {
		return err
	}
	c.result.Starts = append(c.result.Starts, Start{
		Ready: milliseconds(ready.Sub(c.agent.started)), Judged: milliseconds(judged.Sub(c.agent.started)),
		CPU: milliseconds(u.cpu), Peak: u.peak, Sync: milliseconds(u.syncTime), Listed: milliseconds(listed),
	})
	return nil
}

// list returns how long the API server takes to send all objects that the agent keeps, which are read
// by nobody.
func (c *scenario) list(ctx context.Context) (time.Duration, error) {
	started := time.Now()
	for client, resources := range map[rest.Interface][]string{
		c.plane.client.CoreV1().RESTClient():       {"pods", "namespaces", "nodes"},
		c.plane.client.NetworkingV1().RESTClient(): {"networkpolicies"},
	} {
		for _, resource := range resources {
			if _, err := client.Get().Resource(resource).Do(ctx).Raw(); err != nil {
				return 0, fmt.Errorf("listing %s: %w", resource, err)
			}
		}
	}
	return time.Since(started), nil
}

// stop ends what the agent's rules do not need.
func (c *scenario) stop() error {
	c.unwatch()
	return c.plane.stop()
}

// down stops the agent and removes its rules.
func (c *scenario) down(ctx context.Context) error {
	if err := c.agent.stop(); err != nil {
		return err
	}
	return c.agent.cleanUp(ctx)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
