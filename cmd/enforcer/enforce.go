package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"sync"

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
	options.Collectors = append(options.Collectors, plugin.Metrics.Collectors()...)
	a, err := agent.New(options)
	if err != nil {
		return err
	}
	plugin.Ready = a.Synced
	plugin.Announce = func(ctx context.Context, pod nri.Pod) error {
		ref := agent.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: types.UID(pod.UID)}
		return a.Announce(ctx, ref, pod.Labels, pod.Addresses)
	}
	var running sync.WaitGroup
	running.Go(func() { plugin.Run(ctx) })
	a.Run(ctx)
	running.Wait()
	return nil
}

// hung ends the process, whose rules stay, and says where it hangs; it is to be started again.
func hung() {
	fmt.Fprintln(os.Stderr, "enforcer: nothing is synced any more, ending so as to be started again; what each part does:")
	_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	os.Exit(1)
}
