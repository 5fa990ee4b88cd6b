package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/budget"
)

func dumpCommand() *cobra.Command {
	var flags clusterFlags
	var output string
	var proof bool
	limits := budget.Defaults()
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Print what this node should enforce: groups of pods, selectors and the pods that they select",
		Long: `Print what this node should enforce, from the API server's current objects.
To see what it does enforce: nft list table inet apptier

With --prove, compare the two: whether the rules in this kernel let through exactly the connections that the
policies allow, for every pod of the node, every other end that packets are routed to and every port. Connections
with the node's own addresses are not compared. This takes some seconds on a busy node. The kernel is some
milliseconds behind the API server: if they differ, run it again to be sure.

If the enforcer runs with budget flags, give the same flags here.`,
		Example: `  # What a node enforces, and whether that is what the policies say:
  kubectl exec -n apptier-enforcer apptier-enforcer-x7k2p -- /enforcer dump
  kubectl exec -n apptier-enforcer apptier-enforcer-x7k2p -- /enforcer dump --prove`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, staged, err := flags.client()
			if err != nil {
				return err
			}
			snapshot, err := agent.List(cmd.Context(), client, staged)
			if err != nil {
				return err
			}
			if proof {
				return proveKernel(cmd.Context(), cmd.OutOrStdout(), snapshot, flags.node, limits, output)
			}
			compiler := compile.New(flags.node)
			compiler.Limit(limits)
			compiler.Tell(snapshot)
			return printDump(cmd.OutOrStdout(), compiler.Ruleset(), output)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&proof, "prove", false, "compare the rules in this kernel with the policies, connection by connection")
	cmd.Flags().Var(&limits.Policy, budget.PolicyFlag, budget.PolicyHelp)
	cmd.Flags().Var(&limits.Namespace, budget.NamespaceFlag, budget.NamespaceHelp)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text, json, or nft for the ruleset itself")
	return cmd
}

func printDump(w io.Writer, ruleset compile.Ruleset, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(ruleset.Dump())
	case "nft":
		_, err := fmt.Fprint(w, ruleset.Table(1))
		return err
	case "text":
		printText(w, ruleset.Dump())
		return nil
	default:
		return fmt.Errorf("unknown output %q: use text, json or nft", output)
	}
}

func printText(w io.Writer, dump compile.Dump) {
	for _, g := range dump.Groups {
		fmt.Fprintf(w, "%s group %s\n  policies: %s\n  pods:     %s\n",
			g.Direction, g.Chain, strings.Join(g.Policies, ", "), strings.Join(g.Pods, ", "))
	}
	for _, s := range dump.Sets {
		fmt.Fprintf(w, "set %s (%s)\n", s.Name, s.Meaning)
		for _, m := range s.Members {
			fmt.Fprintf(w, "  %s\n", m)
		}
	}
	for _, p := range dump.Problems {
		fmt.Fprintf(w, "problem: %s\n", p)
	}
}
