package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/conntrack"
	"github.com/apptier/apptier/enforcer/flows"
	flowskernel "github.com/apptier/apptier/enforcer/flows/kernel"
	"github.com/apptier/apptier/enforcer/host"
	"github.com/apptier/apptier/enforcer/links"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nodereport"
	"github.com/apptier/apptier/enforcer/nri"
	"github.com/apptier/apptier/enforcer/serving"
	"github.com/apptier/apptier/enforcer/wiring"
	"github.com/apptier/apptier/internal/version"
	"github.com/apptier/apptier/policy/budget"
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
func (f *clusterFlags) client(wraps ...func(*rest.Config)) (kubernetes.Interface, agent.StagedPolicies, error) {
	if f.node == "" {
		return nil, nil, errors.New("the name of this node is missing: set --node-name or the environment variable NODE_NAME")
	}
	config, err := f.config()
	if err != nil {
		return nil, nil, err
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
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	staged, err := agent.NewStagedPolicies(config)
	return client, staged, err
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

// runFlags are those of run.
type runFlags struct {
	clusterFlags
	metrics, health, socket, directory, server string
	connections                                serving.Options
	own, secured, bound, allowed, logDenied    bool
	mode                                       mode
	retention                                  time.Duration
	limits                                     budget.Limits
	mark                                       compile.Mark
	verbosity                                  int
}

func runCommand() *cobra.Command {
	f := &runFlags{limits: budget.Defaults(), mark: compile.DefaultMark, mode: modeEnforce}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Enforce until stopped; the rules stay (the default)",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context()) },
	}
	f.add(cmd)
	return cmd
}

func (f *runFlags) add(cmd *cobra.Command) {
	f.clusterFlags.add(cmd)
	cmd.Flags().Var(&f.mode, "mode", "enforce, or observe: drop nothing and change no packet or connection, but count and record what policies, and staged ones, "+
		"would deny; for nodes on which another program enforces NetworkPolicy")
	cmd.Flags().BoolVar(&f.allowed, "record-allowed", false, "record new connections that pass, too")
	cmd.Flags().StringVar(&f.metrics, "metrics-bind-address", "127.0.0.1:9808", "address of the Prometheus metrics; 0 for none. While it is taken, the enforcer enforces without them")
	cmd.Flags().BoolVar(&f.secured, "metrics-secure", false,
		"serve metrics over HTTPS, only to clients that the API server allows to get /metrics; needs the right to create TokenReviews and SubjectAccessReviews")
	cmd.Flags().StringVar(&f.health, "health-probe-bind-address", "127.0.0.1:9809", "address of /healthz and /readyz; 0 for none. While it is taken, the enforcer enforces without them")
	cmd.Flags().StringVar(&f.connections.Address, "connections-bind-address", "",
		"an IP address of this node and a port, at which the manager may ask over HTTPS which connections were seen here; empty for none. While it is taken, the enforcer enforces without it")
	cmd.Flags().StringVar(&f.connections.Authorities, "connections-authorities", "/etc/apptier/connections/ca.crt",
		"file of the authorities by which the manager is known, in PEM; it may come later, and change")
	cmd.Flags().StringVar(&f.connections.Client, "connections-client", "apptier-connections-service.apptier-system.svc",
		"name in the manager's certificate; nobody else is answered about connections")
	addRunDirectory(cmd, &f.directory)
	cmd.Flags().StringVar(&f.server, "api-server", "",
		"URL of the API server, instead of the one of the kubeconfig or the environment; with a URL that needs no kube-proxy the enforcer starts even if kube-proxy's rules are gone")
	cmd.Flags().BoolVar(&f.own, "own-table", true,
		"while the enforcer runs, keep others from changing the tables, also with \"nft flush ruleset\"; needs Linux 6.9, and does nothing before")
	cmd.Flags().StringVar(&f.socket, "nri-socket", nri.DefaultSocket,
		"socket on which the container runtime announces pods before they start, so that pods need not wait for the API server; empty for none")
	cmd.Flags().Var(&f.mark, "ct-mark-mask",
		"bits of connections' conntrack marks for the enforcer: 8 to 16, adjacent, and written by nothing else on the node. "+
			"With them it stamps the connections that the present rules allow")
	cmd.Flags().Var(&f.limits.Policy, budget.PolicyFlag, budget.PolicyHelp)
	cmd.Flags().Var(&f.limits.Namespace, budget.NamespaceFlag, budget.NamespaceHelp)
	cmd.Flags().BoolVar(&f.bound, "bind-addresses", true,
		"drop what a pod sends from addresses that are not its own; if false, a pod with NET_RAW may use the addresses of others, and what policies allow them")
	cmd.Flags().BoolVar(&f.logDenied, "log-denied", false,
		"log denied connections, and those that staged policies would deny, by the names of pods: a line when one is first seen, and then at most one a minute")
	cmd.Flags().DurationVar(&f.retention, "connections-retention", flows.Retention, "how long a connection is remembered after it was last seen")
	cmd.Flags().IntVarP(&f.verbosity, "v", "v", 0, "log verbosity: 1 shows every update of the rules")
}

func (f *runFlags) run(ctx context.Context) error {
	log := newLogger(f.verbosity)
	limitMemory(log)
	servers := agent.NewServers(f.directory, log)
	var config *rest.Config
	client, staged, err := f.client(func(c *rest.Config) {
		config = c
		config.Host = cmp.Or(f.server, config.Host)
		config.Dial = servers.Dial
		agent.WaitForServer(config, log)
	})
	if err != nil {
		return err
	}
	var protect *agent.Secure
	if f.secured {
		if protect, err = secure(config, log); err != nil {
			return err
		}
	}
	answers, err := f.answers()
	if err != nil {
		return err
	}
	lock, err := agent.Lock(f.directory)
	if err != nil {
		return err
	}
	defer lock.Close()
	kernel, err := nft.Open(compile.TableFamily, compile.TableName, f.tables()...)
	if err != nil {
		return err
	}
	looks, err := f.openWiring(log)
	if err != nil {
		return err
	}
	defer looks.Links.Close()
	surroundings, err := host.Open(f.stamped(), log)
	if err != nil {
		return err
	}
	defer surroundings.Close()
	report, err := nodereport.WriteTo(config)
	if err != nil {
		return err
	}
	log.Info("Starting", "version", version.String(), "node", f.node, "mode", f.mode.String())
	return enforce(ctx, agent.Options{
		Answers: answers,
		Reports: &nodereport.Reporter{Write: report, Mode: f.mode.reported()},
		Wiring:  looks, Host: surroundings, Collectors: []prometheus.Collector{looks},
		Node: f.node, Client: client, Staged: staged, Servers: servers, Kernel: kernel, Mark: f.mark, Connections: conntrack.Table{},
		Reader: flowskernel.Reader{Kernel: kernel}, Retention: f.retention, LogDenied: f.logDenied,
		MetricsAddress: f.metrics, HealthAddress: f.health, Secure: protect, Limits: f.limits,
		Observe: f.mode == modeObserve, RecordAllowed: f.allowed, Listed: collectRarely(), Hung: hung, Log: log,
	}, f.socket)
}

// stamped are the bits of marks that others must not use.
func (f *runFlags) stamped() compile.Mark {
	if f.mode == modeObserve {
		return 0
	}
	return f.mark
}

// answers is what tells the manager which connections were seen here; nil if nothing does.
func (f *runFlags) answers() (*serving.Connections, error) {
	if f.connections.Address == "" {
		return nil, nil
	}
	f.connections.Node = f.node
	return serving.NewConnections(f.connections)
}

// tables are how the tables are opened.
func (f *runFlags) tables() []nft.Option {
	if f.own {
		return []nft.Option{nft.Owned}
	}
	return nil
}

// openWiring opens what looks after the links of the node.
func (f *runFlags) openWiring(log logr.Logger) (*wiring.Node, error) {
	kernel, err := nft.Open(bind.TableFamily, bind.TableName, f.tables()...)
	if err != nil {
		return nil, err
	}
	found, err := links.Open()
	if err != nil {
		return nil, err
	}
	observed := f.mode == modeObserve
	return &wiring.Node{Links: found, Kernel: kernel, Off: !f.bound || observed, Observed: observed, Log: log}, nil
}

// collectRarely has garbage collected less often, until the function that it returns is called. To list a
// cluster makes much garbage and leaves little: a sixth of the processor time of a start went into
// collecting it. If GOGC is set, it applies all the time.
func collectRarely() (asUsual func()) {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	const percent = 200 // of what is in use; 100 is Go's default
	usual := debug.SetGCPercent(percent)
	return func() { debug.SetGCPercent(usual) }
}

func addRunDirectory(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "run-dir", agent.RunDirectory,
		"directory that only this user may write, which enforcers on this node share: a lock, so that only one runs, and the API servers' own addresses. It is created if its parent exists")
}

func cleanupCommand() *cobra.Command {
	var directory string
	var stay bool
	cmd := &cobra.Command{
		Use:   "cleanup",
		Short: "Remove all rules from this node; from then on nothing is enforced",
		Long: `Remove all rules from this node; from then on nothing is enforced.
Stop the enforcer on this node first: it would write them again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lock, err := agent.Lock(directory)
			if err != nil {
				return err
			}
			defer lock.Close()
			kernel, err := nft.Open(compile.TableFamily, compile.TableName)
			if err != nil {
				return err
			}
			bridges, err := nft.Open(bind.TableFamily, bind.TableName)
			if err != nil {
				return err
			}
			if err := errors.Join(nft.RemoveTable(cmd.Context(), kernel), nft.RemoveTable(cmd.Context(), bridges)); err != nil {
				return err
			}
			if stay {
				<-cmd.Context().Done()
			}
			return nil
		},
	}
	addRunDirectory(cmd, &directory)
	cmd.Flags().BoolVar(&stay, "stay", false, "wait for SIGTERM afterwards, so that the kubelet does not restart the pod; until then no enforcer can run here")
	return cmd
}
