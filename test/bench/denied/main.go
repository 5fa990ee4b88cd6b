// Command denied measures how soon kubectl apptier denied -w shows a packet that was denied, on the embedded cluster, and
// prints a Markdown table. It asserts nothing about time: how long things take depends on the machine, which the table names.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/cli"
	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/test/bench/process"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/scenario"
)

const (
	name = "bench-denied"
	// firstPort is the first that the client tries: each is another connection.
	firstPort = 20_000
	// patience is how long one may take until the bench fails.
	patience = 30 * time.Second
)

var (
	client = types.NamespacedName{Namespace: scenario.Shop.Namespace, Name: "frontend"}
	server = types.NamespacedName{Namespace: scenario.Shop.Namespace, Name: "database"}
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard())
	samples := flag.Int("samples", 101, "How many connections are tried.")
	flag.Parse()
	if err := run(ctx, *samples); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, samples int) (err error) {
	machine := process.Machine() // before there is any load of the bench's own
	on, err := up(ctx)
	if on != nil {
		defer func() { err = errors.Join(err, on.Down(context.WithoutCancel(ctx))) }()
	}
	if err != nil {
		return err
	}
	took, err := measure(ctx, on, samples)
	if err != nil {
		return err
	}
	slices.Sort(took)
	at := func(share float64) string {
		return took[max(0, int(math.Ceil(share*float64(len(took))))-1)].Round(10 * time.Millisecond).String()
	}
	fmt.Printf("%s\n\n| from the start of a program in a pod that connects, until denied -w shows that it was denied | measured | goal |\n"+
		"| --- | --- | --- |\n", machine)
	fmt.Printf("| median of %d | %s | |\n| 99th of a hundred | %s | 2s |\n| the slowest | %s | |\n", len(took), at(0.5), at(0.99), at(1))
	return nil
}

// up makes a cluster with the shop, whose AppTier is enforced.
func up(ctx context.Context) (*cluster.Cluster, error) {
	if err := cluster.Down(ctx, name); err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return nil, err
	}
	images, err := scenario.Images(ctx)
	if err != nil {
		return nil, err
	}
	on, err := cluster.Up(ctx, cluster.Options{Name: name, Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	sample, err := manifests.Kustomize(ctx, "config", "samples")
	if err != nil {
		return on, err
	}
	api, err := scenario.Client(on)
	if err != nil {
		return on, err
	}
	for _, step := range []func() error{
		func() error { return scenario.Install(ctx, on, images) },
		func() error { return scenario.DeployShop(ctx, on) },
		func() error { return on.Apply(ctx, sample) },
		func() error { return scenario.WaitAppTier(ctx, api, scenario.Shop) },
	} {
		if err := step(); err != nil {
			return on, err
		}
	}
	return on, nil
}

// measure tries one connection after the other while the command runs.
func measure(ctx context.Context, on *cluster.Cluster, samples int) (took []time.Duration, err error) {
	to, err := address(ctx, on)
	if err != nil {
		return nil, err
	}
	watching, end := context.WithCancel(ctx)
	shown, ended := watch(watching, on.Kubeconfig())
	defer func() {
		end()
		if failed := <-ended; !errors.Is(failed, context.Canceled) {
			err = errors.Join(err, failed)
		}
	}()
	for i := range samples {
		port := int32(firstPort + i)
		select {
		case <-ctx.Done():
			return took, ctx.Err()
		case <-time.After(rand.N(time.Second)): // the agent and the command look each second: at any time of it
		}
		started := time.Now()
		tried := make(chan error, 1)
		go func() {
			reached, err := on.Probe(ctx, client, fmt.Sprintf("%s:%d", to, port), corev1.ProtocolTCP)
			if reached {
				err = errors.Join(err, fmt.Errorf("port %d is reached, and should be denied", port))
			}
			tried <- err
		}()
		at, err := await(ctx, shown, port)
		if err := errors.Join(err, <-tried); err != nil {
			return took, err
		}
		took = append(took, at.Sub(started))
	}
	return took, nil
}

// line is a connection that was shown, and when.
type line struct {
	connections.Connection
	at time.Time
}

// watch runs kubectl apptier denied -w until the context ends.
func watch(ctx context.Context, kubeconfig string) (shown <-chan line, ended <-chan error) {
	lines, failed := make(chan line, 1000), make(chan error, 1)
	out, in := io.Pipe()
	go func() {
		command := cli.NewCommand(genericiooptions.IOStreams{In: nil, Out: in, ErrOut: os.Stderr})
		command.SetArgs([]string{"denied", "-w", "-o", "json", "-n", client.Namespace, "--kubeconfig", kubeconfig})
		err := command.ExecuteContext(ctx)
		in.CloseWithError(err)
		failed <- errors.Join(err, ctx.Err())
	}()
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			var l line
			if json.Unmarshal(scanner.Bytes(), &l.Connection) == nil {
				l.at = time.Now()
				lines <- l
			}
		}
	}()
	return lines, failed
}

// await returns when a connection to a port was shown.
func await(ctx context.Context, shown <-chan line, port int32) (time.Time, error) {
	late := time.After(patience)
	for {
		select {
		case l, open := <-shown:
			if !open {
				return time.Time{}, errors.New("denied -w ended")
			}
			if l.Port == port && l.Verdict == connections.Denied && l.Source.Pod == client.Name && l.Destination.Pod == server.Name {
				return l.at, nil
			}
		case <-late:
			return time.Time{}, fmt.Errorf("port %d was not shown as denied within %s", port, patience)
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// address is the server's.
func address(ctx context.Context, on *cluster.Cluster) (string, error) {
	api, err := scenario.Client(on)
	if err != nil {
		return "", err
	}
	var pod corev1.Pod
	if err := api.Get(ctx, server, &pod); err != nil {
		return "", fmt.Errorf("looking for the server: %w", err)
	}
	return pod.Status.PodIP, nil
}
