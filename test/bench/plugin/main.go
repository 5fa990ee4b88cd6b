// Command plugin measures what kubectl apptier asks of a large cluster, on a real API server, and prints a Markdown table. It
// asserts nothing: how long things take depends on the machine, which the table names.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/bench/apiserver"
	"github.com/apptier/apptier/test/bench/process"
)

// size is how much there is: pods of workloads, of which each is a tier.
type size struct {
	namespaces, apps, tiers, replicas int
	rounds                            int
}

func (s size) workloads() int { return s.namespaces * s.apps * s.tiers }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard())
	var s size
	flag.IntVar(&s.namespaces, "namespaces", 40, "Number of namespaces.")
	flag.IntVar(&s.apps, "apps", 5, "Number of AppTiers in each.")
	flag.IntVar(&s.tiers, "tiers", 5, "Number of tiers of each.")
	flag.IntVar(&s.replicas, "replicas", 20, "Number of pods of each tier.")
	flag.IntVar(&s.rounds, "rounds", 5, "How often each command runs.")
	flag.Parse()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// questions are the commands that are measured.
var questions = [][]string{
	{"map", "--cluster", "-o", "matrix"},
	{"map", "--cluster", "-o", "html"},
	{"map", "--cluster", "--focus", namespaceName(0) + "/"},
}

func run(ctx context.Context, s size) (err error) {
	dir, err := os.MkdirTemp("", "apptier-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	machine := process.Machine() // before there is any load of the bench's own
	program := filepath.Join(dir, "kubectl-apptier")
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := buildPlugin(ctx, program); err != nil {
		return err
	}
	server, err := apiserver.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := os.WriteFile(kubeconfig, server.KubeConfig, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "creating %d pods of %d workloads\n", s.workloads()*s.replicas, s.workloads())
	server.Config.QPS = -1 // the bench itself is not to wait
	if err := load(ctx, server.Config, s); err != nil {
		return err
	}
	fmt.Printf("%s\n\n%d pods of %d tiers in %d namespaces; medians of %d\n\n",
		machine, s.workloads()*s.replicas, s.workloads(), s.namespaces, s.rounds)
	fmt.Print("| command | time | processor | most memory, MiB | lines |\n| --- | --- | --- | --- | --- |\n")
	for _, question := range questions {
		if err := ask(ctx, s.rounds, program, append(slices.Clone(question), "--kubeconfig", kubeconfig), question); err != nil {
			return err
		}
	}
	return nil
}

// ask runs a command some times, and prints a row.
func ask(ctx context.Context, rounds int, program string, arguments, shown []string) error {
	var took, cpu []time.Duration
	var memory []int64
	lines := 0
	for range rounds {
		command := exec.CommandContext(ctx, program, arguments...)
		command.Stderr = os.Stderr
		started := time.Now()
		out, err := command.Output()
		if err != nil {
			return fmt.Errorf("%v: %w", shown, err)
		}
		usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			return errors.New("the system does not tell what a process used")
		}
		took, cpu = append(took, time.Since(started)), append(cpu, command.ProcessState.UserTime()+command.ProcessState.SystemTime())
		memory = append(memory, usage.Maxrss/1024) // kibibytes: getrusage(2)
		lines = bytes.Count(out, []byte("\n"))
	}
	fmt.Printf("| `%s` | %v | %v | %d | %d |\n", strings.Join(shown, " "),
		median(took).Round(10*time.Millisecond), median(cpu).Round(10*time.Millisecond), median(memory), lines)
	return nil
}

func median[T int64 | time.Duration](of []T) T {
	slices.Sort(of)
	return of[len(of)/2]
}

// buildPlugin builds it as releases have it.
func buildPlugin(ctx context.Context, program string) error {
	root, err := repository.Dir(ctx)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/kubectl-apptier")
	command.Dir, command.Stderr, command.Env = root, os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	if err := command.Run(); err != nil {
		return fmt.Errorf("building the plugin: %w", err)
	}
	return nil
}
