package main

import (
	"context"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/nri"
)

// enforce runs the agent, and beside it, unless the socket is empty, what has the container runtime
// announce pods to it.
func enforce(ctx context.Context, options agent.Options, socket string) error {
	if socket == "" {
		return agent.Run(ctx, options)
	}
	plugin := &nri.Plugin{Socket: socket, Metrics: nri.NewMetrics(), Log: options.Log}
	options.Collectors = plugin.Metrics.Collectors()
	a, err := agent.New(options)
	if err != nil {
		return err
	}
	plugin.Ready = a.Synced
	plugin.Announce = func(ctx context.Context, pod nri.Pod) error {
		ref := agent.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: types.UID(pod.UID)}
		return a.Announce(ctx, ref, pod.Labels, pod.Addresses)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.Run(ctx) })
	group.Go(func() error {
		plugin.Run(ctx)
		return nil
	})
	return group.Wait()
}
