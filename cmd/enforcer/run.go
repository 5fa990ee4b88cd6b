package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nri"
	"github.com/apptier/apptier/internal/version"
)

// clusterFlags say which cluster and node the command is about.
type clusterFlags struct {
	node       string
	kubeconfig string
}

func (f *clusterFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.node, "node-name", os.Getenv("NODE_NAME"),
		"name of this node in the cluster; the environment variable NODE_NAME is its default")
	cmd.Flags().StringVar(&f.kubeconfig, "kubeconfig", "",
		"file that says how to reach the API server; by default KUBECONFIG, or else the pod's service account")
}

// client connects to the API server; each wrap may change how.
func (f *clusterFlags) client(wraps ...func(*rest.Config)) (kubernetes.Interface, error) {
	if f.node == "" {
		return nil, errors.New("the name of this node is missing: set --node-name or the environment variable NODE_NAME")
	}
	config, err := f.config()
	if err != nil {
		return nil, err
	}
	// Reflectors list once and then watch; client-go's default of 5 requests a second would only
	// slow their start.
	config.QPS, config.Burst = 50, 100
	config.UserAgent = "apptier-enforcer/" + version.String()
	// To decode JSON would be most of the work of a start, and most of its memory.
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	for _, wrap := range wraps {
		wrap(config)
	}
	return kubernetes.NewForConfig(config)
}

func (f *clusterFlags) config() (*rest.Config, error) {
	file := cmp.Or(f.kubeconfig, os.Getenv("KUBECONFIG"))
	if file != "" {
		config, err := clientcmd.BuildConfigFromFlags("", file)
		if err != nil {
			return nil, fmt.Errorf("cannot use the kubeconfig %s: %w", file, err)
		}
		return config, nil
	}
	config, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return nil, errors.New("no cluster given: set --kubeconfig or KUBECONFIG, or run in a pod")
	}
	return config, err
}

func runCommand() *cobra.Command {
	var flags clusterFlags
	var metrics, health, socket string
	var verbosity int
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Enforce until stopped; the rules stay (the default)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := newLogger(verbosity)
			client, err := flags.client(func(config *rest.Config) { agent.WaitForServer(config, log) })
			if err != nil {
				return err
			}
			lock, err := agent.Lock()
			if err != nil {
				return err
			}
			defer lock.Close()
			kernel, err := nft.Open(compile.TableFamily, compile.TableName)
			if err != nil {
				return err
			}
			log.Info("Starting", "version", version.String(), "node", flags.node)
			return enforce(cmd.Context(), agent.Options{
				Node: flags.node, Client: client, Kernel: kernel,
				MetricsAddress: metrics, HealthAddress: health, Listed: collectRarely(), Log: log,
			}, socket)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&metrics, "metrics-bind-address", "127.0.0.1:9808", "address of the Prometheus metrics; 0 for none")
	cmd.Flags().StringVar(&health, "health-probe-bind-address", "127.0.0.1:9809", "address of /healthz and /readyz; 0 for none")
	cmd.Flags().StringVar(&socket, "nri-socket", nri.DefaultSocket,
		"where the container runtime announces pods before they start, so that they need not wait for the API server; empty for nowhere")
	cmd.Flags().IntVarP(&verbosity, "v", "v", 0, "log verbosity: 1 shows every update of the rules")
	return cmd
}

// collectRarely has garbage collected less often, until the function that it returns is called. To list a
// cluster makes much garbage and leaves little: a sixth of the processor time of a start went into
// collecting it. Who sets GOGC has it that way all the time.
func collectRarely() (asUsual func()) {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	const percent = 200 // of what is in use; 100 is Go's default
	usual := debug.SetGCPercent(percent)
	return func() { debug.SetGCPercent(usual) }
}

func cleanupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cleanup",
		Short: "Remove all rules from this node; from then on nothing is enforced",
		Long: `Remove all rules from this node; from then on nothing is enforced.
An enforcer that runs here would write them again, so none may.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lock, err := agent.Lock()
			if err != nil {
				return err
			}
			defer lock.Close()
			kernel, err := nft.Open(compile.TableFamily, compile.TableName)
			if err != nil {
				return err
			}
			return nft.RemoveTable(cmd.Context(), kernel)
		},
	}
}
