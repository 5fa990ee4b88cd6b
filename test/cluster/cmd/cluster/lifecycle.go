package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
)

func (a *app) build() *cobra.Command {
	return &cobra.Command{
		Use:   "build",
		Short: "Build the programs of the cluster, if this machine has not yet, and print their folder",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := build.Assets(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), dir)
			return nil
		},
	}
}

func (a *app) up() *cobra.Command {
	var o cluster.Options
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make the cluster, or start what has stopped of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Name, o.Progress = a.name, cmd.ErrOrStderr()
			began := time.Now()
			c, err := cluster.Up(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "The cluster %s is up after %.1fs. Use it with:\n", c.Name(), time.Since(began).Seconds())
			fmt.Fprintf(cmd.OutOrStdout(), "export KUBECONFIG=%s\n", c.Kubeconfig())
			return nil
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Nodes, "nodes", 2, "how many nodes run pods")
	flags.StringVar((*string)(&o.Proxy), "proxy-mode", string(cluster.ProxyNFTables), "kube-proxy's mode: nftables or iptables")
	flags.StringVar((*string)(&o.CNI), "cni", string(cluster.CNIPtp), "how pods are connected: ptp or bridge")
	flags.StringVar((*string)(&o.IPFamily), "ip-family", string(cluster.IPv4), "the cluster's addresses: ipv4, ipv6 or dual")
	flags.BoolVar(&o.Keep, "keep", false, "leave a cluster that failed to come up as it is, for a look")
	return cmd
}

func (a *app) down() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Remove the cluster and all that it left on this machine",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cluster.Down(cmd.Context(), a.name) },
	}
}

func (a *app) kubeconfig() *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the cluster's kubeconfig",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), c.Kubeconfig())
			return nil
		},
	}
}

// row is a cluster in a list.
type row struct {
	Name       string        `json:"name"`
	Version    string        `json:"version"`
	Alive      bool          `json:"alive"`
	Shape      cluster.Shape `json:"shape"`
	Created    time.Time     `json:"created"`
	Kubeconfig string        `json:"kubeconfig"`
}

func (a *app) list() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clusters of this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clusters, err := cluster.List()
			if err != nil {
				return err
			}
			rows := []row{}
			for _, c := range clusters {
				rows = append(rows, row{c.Name(), c.Version(), c.Alive(), c.Shape(), c.Created(), c.Kubeconfig()})
			}
			return a.print(cmd.OutOrStdout(), rows, func(w io.Writer) {
				fmt.Fprintln(w, "NAME\tKUBERNETES\tALIVE\tNODES\tPROXY\tCNI\tIP\tAGE")
				for _, r := range rows {
					fmt.Fprintf(w, "%s\t%s\t%t\t%d\t%s\t%s\t%s\t%s\n", r.Name, r.Version, r.Alive, r.Shape.Nodes, r.Shape.Proxy, r.Shape.CNI, r.Shape.IPFamily, age(r.Created))
				}
			})
		},
	}
	a.outputFlag(cmd)
	return cmd
}

func (a *app) components() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "components",
		Short: "List the components of the cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			components, err := c.Components(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), components, func(w io.Writer) {
				fmt.Fprintln(w, "NODE\tCOMPONENT\tSTATE\tSINCE")
				for _, p := range components {
					state := "running"
					if !p.Running {
						state = p.Exit
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Machine, p.Name, state, age(p.Since))
				}
			})
		},
	}
	a.outputFlag(cmd)
	return cmd
}

func (a *app) stop() *cobra.Command {
	return &cobra.Command{
		Use:   "stop NODE COMPONENT",
		Short: "Stop a component, such as n1 kubelet or cp kube-apiserver",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			return c.Stop(cmd.Context(), args[0], args[1])
		},
	}
}

func (a *app) start() *cobra.Command {
	return &cobra.Command{
		Use:   "start NODE COMPONENT",
		Short: "Start a component that was stopped, and wait until it answers",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			if err := c.Start(cmd.Context(), args[0], args[1]); err != nil {
				return err
			}
			return c.Await(cmd.Context(), args[0], args[1])
		},
	}
}

func (a *app) logs() *cobra.Command {
	return &cobra.Command{
		Use:   "logs NODE COMPONENT",
		Short: "Print the log of a component",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			path := c.LogFile(args[0], args[1])
			log, err := os.Open(path)
			if err != nil {
				others, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.log"))
				return fmt.Errorf("no log of that component; the node %s has: %v: %w", args[0], others, err)
			}
			defer log.Close()
			_, err = io.Copy(cmd.OutOrStdout(), log)
			return err
		},
	}
}

func (a *app) outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.output, "output", "o", "", `"json", or empty for a table`)
}

// print prints a value as JSON, or as a table when that was not asked for.
func (a *app) print(out io.Writer, value any, table func(io.Writer)) error {
	switch a.output {
	case "":
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		table(w)
		return w.Flush()
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	return fmt.Errorf(`the output %q: use "json", or leave it out for a table`, a.output)
}

func age(since time.Time) string { return time.Since(since).Round(time.Second).String() }
