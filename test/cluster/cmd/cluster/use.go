package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/test/cluster/build"
)

func (a *app) load() *cobra.Command {
	return &cobra.Command{
		Use:   "load TAR...",
		Short: "Load images from tars, as docker save writes them, into every node",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			return c.Load(cmd.Context(), args...)
		},
	}
}

func (a *app) image() *cobra.Command {
	var g build.GoImage
	var load bool
	cmd := &cobra.Command{
		Use:   "image manager | enforcer | PACKAGE --ref REF",
		Short: "Build an image with a program of this project, without a container engine, and print its tar",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			image := g
			image.Package = args[0]
			switch {
			case args[0] == "manager":
				image = build.ManagerImage()
			case args[0] == "enforcer":
				image = build.EnforcerImage()
			case g.Ref == "":
				return errors.New("give the image a name, such as --ref example/tool:dev")
			}
			tar, err := image.Write(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), tar)
			if !load {
				return nil
			}
			c, err := a.open()
			if err != nil {
				return err
			}
			return c.Load(cmd.Context(), tar)
		},
	}
	cmd.Flags().StringVar(&g.Ref, "ref", "", "the image's name")
	cmd.Flags().StringVar(&g.Binary, "binary", "", "the program's path in the image")
	cmd.Flags().StringVar(&g.User, "user", "", "uid:gid to run as; root when empty")
	cmd.Flags().StringSliceVar(&g.Programs, "program", nil, "programs of this machine to put into the image, with their libraries")
	cmd.Flags().BoolVar(&load, "load", false, "load it into the cluster too")
	return cmd
}

func (a *app) probe() *cobra.Command {
	var protocol string
	cmd := &cobra.Command{
		Use:   "probe NAMESPACE/POD HOST:PORT",
		Short: "Try whether a pod of the agnhost image reaches a target; the exit status is 1 when it does not",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			reachable, err := c.Probe(cmd.Context(), podName(args[0]), args[1], corev1.Protocol(strings.ToUpper(protocol)))
			if err != nil {
				return err
			}
			if !reachable {
				return fmt.Errorf("%s does not reach %s", args[0], args[1])
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s reaches %s\n", args[0], args[1])
			return nil
		},
	}
	cmd.Flags().StringVar(&protocol, "protocol", "tcp", "tcp, udp or sctp")
	return cmd
}

func (a *app) exec() *cobra.Command {
	var container string
	cmd := &cobra.Command{
		Use:   "exec NAMESPACE/POD PROGRAM...",
		Short: "Run a program in a pod",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			stdout, stderr, err := c.Exec(cmd.Context(), podName(args[0]), container, args[1:]...)
			fmt.Fprint(cmd.OutOrStdout(), stdout)
			fmt.Fprint(cmd.ErrOrStderr(), stderr)
			return status(err)
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the pod is the program's
	cmd.Flags().StringVarP(&container, "container", "c", "", "the container; the pod's only one when empty")
	return cmd
}

func (a *app) shell() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node NODE PROGRAM...",
		Short: "Run a program of this machine on a node, such as nft list tables",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			program := c.Command(cmd.Context(), args[0], args[1:]...)
			program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
			return status(program.Run())
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the node is the program's
	return cmd
}

func (a *app) kubectl() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kubectl COMMAND...",
		Short: "Run the cluster's own kubectl against it",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.open()
			if err != nil {
				return err
			}
			bin, err := build.Assets(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			kubectl := exec.CommandContext(cmd.Context(), filepath.Join(bin, "kubectl"), args...)
			kubectl.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
			kubectl.Stdin, kubectl.Stdout, kubectl.Stderr = os.Stdin, os.Stdout, os.Stderr
			return status(kubectl.Run())
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the first word is kubectl's
	return cmd
}

// podName reads NAMESPACE/POD; without a namespace it is the default one.
func podName(s string) types.NamespacedName {
	if namespace, pod, found := strings.Cut(s, "/"); found {
		return types.NamespacedName{Namespace: namespace, Name: pod}
	}
	return types.NamespacedName{Namespace: "default", Name: s}
}
