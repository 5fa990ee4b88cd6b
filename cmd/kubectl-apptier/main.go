// Command kubectl-apptier is a kubectl plugin: with it on the PATH, kubectl apptier shows what
// AppTiers mean.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // as kubectl: every way to log in

	"github.com/apptier/apptier/internal/cli"
	"github.com/apptier/apptier/internal/cli/exit"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once: no context ends the reading of standard input
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	err := cli.NewCommand(streams).ExecuteContext(ctx)
	exit.Report(os.Stderr, err)
	return exit.Code(err)
}
