// Command manager measures the manager on a real API server, and prints a Markdown table. It asserts
// nothing: how long things take depends on the machine, which the table names.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/apptier/apptier/test/bench/apiserver"
	"github.com/apptier/apptier/test/bench/process"
)

// size is how much there is to do.
type size struct {
	apps, tiers, namespaces int
	// samples is how often one AppTier is changed among all.
	samples int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard())
	var s size
	flag.IntVar(&s.apps, "apps", 1000, "Number of AppTiers.")
	flag.IntVar(&s.tiers, "tiers", 5, "Number of tiers of each, with a pod each.")
	flag.IntVar(&s.namespaces, "namespaces", 100, "Number of namespaces that they are in.")
	flag.IntVar(&s.samples, "samples", 101, "How often one AppTier is changed.")
	flag.Parse()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, s size) (err error) {
	dir, err := os.MkdirTemp("", "apptier-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	machine := process.Machine() // before there is any load of the bench's own
	server, err := apiserver.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	server.Config.QPS = -1 // the bench itself is not to wait
	b, err := newBench(ctx, server.Config, server.KubeConfig, dir, s)
	if err != nil {
		return err
	}
	rows, err := b.measure(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n\n| what | measured |\n| --- | --- |\n", machine)
	for _, row := range rows {
		fmt.Printf("| %s | %s |\n", row.what, row.measured)
	}
	return nil
}
