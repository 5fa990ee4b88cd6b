// Command enforcer filters a node's packets by the cluster's NetworkPolicies.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/apptier/apptier/internal/probe"
	"github.com/apptier/apptier/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "enforcer:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	run := runCommand()
	root := &cobra.Command{
		Use:   "enforcer",
		Short: "Filter this node's packets by the cluster's NetworkPolicies, with nftables",
		Long: `Filter this node's packets by the cluster's NetworkPolicies, with nftables.

The rules are in the kernel's table "inet apptier", which has comments:
  nft list table inet apptier
If pods are on a bridge, the table "bridge apptier" says which addresses each bridge port may send from.
The rules stay when the enforcer stops or loses the API server; "enforcer cleanup" removes them.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          run.RunE,
	}
	root.Flags().AddFlagSet(run.Flags())
	root.AddCommand(run, cleanupCommand(), dumpCommand(), probeCommand(), versionCommand())
	return root
}

// probeCommand tries connections from a pod, for "kubectl apptier test --packets": every node has this image.
func probeCommand() *cobra.Command {
	return &cobra.Command{
		Use:                probe.Command + " [--timeout=3s] [--after=0s] PROTOCOL/ADDRESS:PORT...",
		Short:              "Try connections from here, and end with what came of them",
		DisableFlagParsing: true, // the probe reads its own
		RunE: func(cmd *cobra.Command, args []string) error {
			if slices.Contains(args, "--help") {
				return cmd.Help()
			}
			return probe.Main(cmd.Context(), args, cmd.OutOrStdout())
		},
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), version.String())
		},
	}
}

// newLogger writes to stderr; higher verbosity shows more.
func newLogger(verbosity int) logr.Logger {
	handler := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.Level(-verbosity)})
	log := logr.FromSlogHandler(handler)
	klog.SetLogger(log) // client-go's
	return log
}
