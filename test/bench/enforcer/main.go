// Command enforcer measures the enforcer end to end, on real API servers and with real packets: how
// soon a change of an object is in force, and what that costs. How long things take depends on the
// machine, so none of it is asserted; but a packet that is judged wrongly makes it fail.
package main

import (
	"cmp"
	"context"
	"encoding/json"
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
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
)

// sizes are those that can be chosen.
var sizes = []size{
	{Name: "a", Local: 100, Remote: 1000, Policies: 100},
	{Name: "b", Local: 100, Remote: 5000, Policies: 1000},
	{Name: "c", Local: 100, Remote: 20_000, Policies: 5000},
}

// options are the flags.
type options struct {
	scenarios      string
	rounds, starts int
	changes        int
	churn, burst   time.Duration
	trafficRounds  int
	floodRounds    int
	enforcer, docs string
	data           string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard())
	o := options{}
	flag.StringVar(&o.scenarios, "scenarios", "a,b,c", "Sizes of the cluster to measure, with commas: a has 100 policies, b 1,000, c 5,000; none with \"\".")
	flag.IntVar(&o.rounds, "rounds", 21, "How often each event is measured in each cluster.")
	flag.IntVar(&o.starts, "starts", 5, "How often the enforcer is started in each cluster.")
	flag.IntVar(&o.changes, "changes", 1000, "Changes of policies in each cluster during which allowed connections must lose no packet.")
	flag.DurationVar(&o.churn, "churn", time.Minute, "How long pods come and go in each cluster.")
	flag.IntVar(&o.trafficRounds, "traffic-rounds", 41, "How often the speed of packets is measured under each set of rules.")
	flag.IntVar(&o.floodRounds, "flood-rounds", 11, "How often many denied packets are sent under each set of rules.")
	flag.DurationVar(&o.burst, "burst", 200*time.Millisecond, "How long each such measurement lasts.")
	flag.StringVar(&o.enforcer, "enforcer", "", "Program to measure; by default the enforcer is built from the source.")
	flag.StringVar(&o.docs, "docs", "", "Folder in which to write benchmarks.md and the charts anew; none by default.")
	flag.StringVar(&o.data, "data", "", "File of results: written, or, if it exists, read in place of measuring.")
	flag.Parse()
	if err := run(ctx, o); err != nil {
		// Who interrupts the bench need not read all that fails then.
		fmt.Fprintln(os.Stderr, "bench:", cmp.Or(context.Cause(ctx), err))
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// run prepares outside, where there is a network, and measures inside.
func run(ctx context.Context, o options) (err error) {
	if workspace := os.Getenv(workspaceEnv); workspace != "" {
		if err := settle(workspace); err != nil {
			return err
		}
		return runInside(ctx, o, workspace)
	}
	workspace, err := os.MkdirTemp("", "apptier-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(workspace)) }()
	results, err := earlier(o.data)
	if err != nil {
		return err
	}
	if results == nil {
		if err := prepare(ctx, o, workspace); err != nil {
			return err
		}
		failed := isolate(ctx, workspace)
		if results, err = earlier(filepath.Join(workspace, resultsFile)); err != nil {
			return err
		}
		if failed != nil {
			return errors.Join(fmt.Errorf("measuring: %w", failed), keep(o.data, results))
		}
	}
	return present(results, o)
}

const (
	resultsFile  = "results.json"
	programsFile = "programs.json"
)

// keep writes what was measured before a failure beside where all was to be.
func keep(file string, results *Results) error {
	if file == "" || results == nil {
		return nil
	}
	return writeJSON(file+".part", results)
}

// present prints results, and writes them where asked.
func present(results *Results, o options) error {
	if o.data != "" {
		if err := writeJSON(o.data, results); err != nil {
			return err
		}
	}
	if o.docs != "" {
		return document(o.docs, results)
	}
	_, err := fmt.Print(results.tables())
	return err
}

// programs is what there is to run.
type programs struct {
	Assets   string // a folder with etcd and kube-apiserver
	Kinds    string // a folder with the definitions of the project's kinds
	Enforcer string
	Version  string // of the enforcer
	// Kubernetes is the version of Assets.
	Kubernetes string
}

func prepare(ctx context.Context, o options, workspace string) (err error) {
	if os.Geteuid() != 0 {
		return cluster.ErrNeedsRoot
	}
	p := programs{Enforcer: o.enforcer}
	if p.Assets, err = build.Assets(ctx, os.Stderr); err != nil {
		return err
	}
	root, err := repository.Dir(ctx)
	if err != nil {
		return err
	}
	p.Kinds = filepath.Join(root, "config", "crd", "bases")
	if p.Enforcer == "" {
		p.Enforcer = filepath.Join(workspace, "enforcer")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", p.Enforcer, "./cmd/enforcer")
		build.Dir, build.Stderr = root, os.Stderr
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if err := build.Run(); err != nil {
			return fmt.Errorf("building the enforcer: %w", err)
		}
	}
	built, err := exec.CommandContext(ctx, p.Enforcer, "version").Output()
	if err != nil {
		return fmt.Errorf("asking the enforcer for its version: %w", err)
	}
	p.Version = strings.TrimSpace(string(built))
	version, err := exec.CommandContext(ctx, filepath.Join(p.Assets, cluster.APIServer), "--version").Output()
	if err != nil {
		return fmt.Errorf("asking the API server for its version: %w", err)
	}
	p.Kubernetes = strings.TrimPrefix(strings.TrimSpace(string(version)), "Kubernetes ")
	return writeJSON(filepath.Join(workspace, programsFile), p)
}

func runInside(ctx context.Context, o options, workspace string) error {
	text, err := os.ReadFile(filepath.Join(workspace, programsFile))
	if err != nil {
		return err
	}
	var p programs
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	results, err := measure(ctx, o, p)
	return errors.Join(err, writeJSON(filepath.Join(workspace, resultsFile), results))
}

// chosen are the sizes that the flag names.
func (o options) chosen() ([]size, error) {
	var chosen []size
	for name := range strings.FieldsFuncSeq(o.scenarios, func(r rune) bool { return r == ',' }) {
		i := slices.IndexFunc(sizes, func(s size) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("the scenario %q: use a, b or c, or several with commas", name)
		}
		chosen = append(chosen, sizes[i])
	}
	return chosen, nil
}

// earlier reads results, which are nil if there is no such file.
func earlier(file string) (*Results, error) {
	text, err := os.ReadFile(file)
	if file == "" || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	results := &Results{}
	if err := json.Unmarshal(text, results); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return results, nil
}

func writeJSON(file string, value any) error {
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
