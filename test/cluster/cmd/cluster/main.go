// Command cluster makes, uses and removes real Kubernetes clusters on this machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/apptier/apptier/test/cluster"
)

func main() {
	// An interrupted "up" takes down what it has made, so an interrupt must not end the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		os.Exit(report(err))
	}
}

// report says what went wrong, and gives the exit status.
func report(err error) int {
	var failed exitStatus
	if errors.As(err, &failed) {
		return int(failed) // the program that was run for the user has said why
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
	return 1
}

// exitStatus is how a program ended that was run for the user, in a pod or on a node.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// status turns such a program's failure into its exit status, and leaves other errors as they are.
func status(err error) error {
	var inPod utilexec.CodeExitError
	if errors.As(err, &inPod) {
		return exitStatus(inPod.Code)
	}
	var here *exec.ExitError
	if errors.As(err, &here) && here.Exited() {
		return exitStatus(here.ExitCode())
	}
	return err
}

// app is what all commands share.
type app struct {
	name   string
	output string
}

func root() *cobra.Command {
	a := &app{}
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "A real multi-node Kubernetes on this machine, for tests and for trying things",
		Long: `A real multi-node Kubernetes on this machine: each node is a set of Linux namespaces, and every
component is built from its pinned Go module, once. Needs root and nothing from the internet but the
Go module proxy. No container engine.

  cluster up
  export KUBECONFIG=$(cluster kubeconfig)
  kubectl get nodes
  cluster down`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentFlags().StringVar(&a.name, "name", cluster.DefaultName, "the cluster's name")
	cmd.AddCommand(a.build(), a.up(), a.down(), a.list(), a.kubeconfig(), a.components(), a.stop(), a.start(),
		a.logs(), a.load(), a.image(), a.probe(), a.exec(), a.shell(), a.kubectl())
	return cmd
}

// open finds the cluster, and tells how to have one.
func (a *app) open() (*cluster.Cluster, error) {
	c, err := cluster.Open(a.name)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil, fmt.Errorf("there is no cluster %q; make it with: cluster up --name %s", a.name, a.name)
	}
	return c, err
}
