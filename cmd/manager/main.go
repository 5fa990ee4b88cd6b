// Command manager runs the AppTier controller and the admission webhook.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/controllers"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/internal/probe"
	"github.com/apptier/apptier/internal/version"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/kube"
)

// options are the command's flags.
type options struct {
	metricsAddress  string
	probeAddress    string
	leaderElect     bool
	webhook         bool
	webhookPort     int
	certDir         string
	clientCA        string
	rotateCerts     bool
	connectionsPort int
	auditPeriod     time.Duration
	namespace       string
	node            string
	enforcers       string
	dnsService      string
	clusterNetworks string
	limits          budget.Limits
	tryAdmission    time.Duration
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == probe.Command { // from a pod, for "kubectl apptier test --packets"
		exit(probe.Main(ctrl.SetupSignalHandler(), os.Args[2:], os.Stdout))
	}
	o := options{limits: budget.Defaults()}
	flag.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "Address of the metrics endpoint (HTTPS, for authorized clients); 0 turns it off.")
	flag.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of the health and readiness probes.")
	flag.BoolVar(&o.leaderElect, "leader-elect", false, "Elect a leader among replicas: only it writes policies. Every replica serves the webhook.")
	flag.BoolVar(&o.webhook, "webhook", true, "Serve the admission webhook.")
	flag.IntVar(&o.webhookPort, "webhook-port", 9443, "Port of the admission webhook.")
	flag.StringVar(&o.certDir, "webhook-cert-dir", "/certs", "Folder of the webhook's tls.crt and tls.key, with --rotate-certs=false.")
	flag.StringVar(&o.clientCA, "webhook-client-ca", "", "File of certificate authorities (PEM), read at start: the webhook answers only clients with a certificate of one of them, so give the API server such a certificate. Empty: answer any client.")
	flag.BoolVar(&o.rotateCerts, "rotate-certs", true, "Create and rotate the webhook's certificate; false if something else, such as cert-manager, does.")
	flag.DurationVar(&o.auditPeriod, "audit-period", 24*time.Hour,
		"How long no connection must be one that an AppTier in mode Audit would deny, until its condition Audited is True.")
	flag.IntVar(&o.connectionsPort, "connections-port", 0,
		"Port of the API of connections, which the API server passes requests on to by the APIService "+connectionsAPIService+"; 0 turns it off.")
	flag.StringVar(&o.enforcers, "enforcer-namespace", "apptier-enforcer",
		"Namespace that the enforcers run in: the ConfigMap apptier-connections-ca there tells them how to know the manager.")
	flag.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "Namespace that the manager runs in.")
	flag.StringVar(&o.node, "node-name", os.Getenv("NODE_NAME"),
		"Node that the manager runs on: no other node's enforcer is asked at an address of it.")
	flag.StringVar(&o.dnsService, "dns-service", "kube-system/kube-dns", "The Service of the cluster's DNS, as namespace/name.")
	flag.StringVar(&o.clusterNetworks, "cluster-networks", "", "Ranges of pods, services and nodes outside the private ranges, separated by commas: they are not the internet.")
	flag.Var(&o.limits.Policy, budget.PolicyFlag, budget.PolicyHelp)
	flag.Var(&o.limits.Namespace, budget.NamespaceFlag, budget.NamespaceHelp)
	flag.DurationVar(&o.tryAdmission, "try-admission", 0,
		"Run nothing; check for so long whether the API server asks the webhook about AppTiers of --namespace.")
	// Errors say what was being done; a stack says only where in the program.
	zapOptions := zap.Options{StacktraceLevel: zapcore.DPanicLevel}
	zapOptions.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&zapOptions)))

	begin := run
	if o.tryAdmission > 0 {
		begin = func(o options) error { return tryAdmission(ctrl.SetupSignalHandler(), o) }
	}
	exit(begin(o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(o options) error {
	reconciler, err := reconcilerFor(o)
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w (set KUBECONFIG, or run in a pod)", err)
	}
	// No limit of the client's own, which is 20 requests a second: the API server's priority and
	// fairness keeps one client from crowding out others.
	config.QPS = -1
	certificate := certificateFor(o)
	clients, err := clientsOf(o.clientCA)
	if err != nil {
		return err
	}
	server := serverFor(o, certificate, clients)
	mgr, err := ctrl.NewManager(config, managerOptions(o, server))
	if err != nil {
		return fmt.Errorf("setting up the manager: %w", err)
	}
	reconciler.Client = mgr.GetClient()
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return err
	}
	settings := environment.Settings{DNSService: reconciler.DNSService, ClusterNetworks: reconciler.ClusterNetworks}
	var d drain
	if err := addWebhook(mgr, o, settings, certificate, &d); err != nil {
		return err
	}
	if err := addConnections(mgr, o); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return fmt.Errorf("setting up the health probe: %w", err)
	}
	ctrl.Log.Info("starting", "version", version.String())
	wait := drainFor
	if !o.webhook {
		wait = 0
	}
	// A second signal ends the process at once.
	if err := mgr.Start(d.after(ctrl.SetupSignalHandler(), wait, server.Drain)); err != nil {
		return fmt.Errorf("running the manager: %w", err)
	}
	return nil
}

func reconcilerFor(o options) (*controllers.AppTierReconciler, error) {
	namespace, name, ok := strings.Cut(o.dnsService, "/")
	if !ok {
		return nil, fmt.Errorf("--dns-service %q must be namespace/name", o.dnsService)
	}
	reconciler := &controllers.AppTierReconciler{DNSService: types.NamespacedName{Namespace: namespace, Name: name}, Now: time.Now}
	for text := range strings.SplitSeq(o.clusterNetworks, ",") {
		if text == "" {
			continue
		}
		cidr, err := kube.ParseCIDR(text)
		if err != nil {
			return nil, fmt.Errorf("--cluster-networks: %w", err)
		}
		reconciler.ClusterNetworks = append(reconciler.ClusterNetworks, cidr)
	}
	return reconciler, nil
}

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

func modernTLS(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }

func schemeOf() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

func managerOptions(o options, server webhook.Server) ctrl.Options {
	return ctrl.Options{
		Scheme: schemeOf(),
		Cache:  controllers.CacheOptions(),
		Metrics: metricsserver.Options{
			BindAddress:    o.metricsAddress,
			SecureServing:  true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
			TLSOpts:        []func(*tls.Config){modernTLS},
		},
		WebhookServer:          server,
		HealthProbeBindAddress: o.probeAddress,
		// AppTiers wait for the API server, and do not depend on each other. A replica that comes to lead
		// has read everything before.
		Controller:              ctrlconfig.Controller{MaxConcurrentReconciles: 8, EnableWarmup: ptr.To(true)},
		LeaderElection:          o.leaderElect,
		LeaderElectionID:        "manager.policy.apptier.dev",
		LeaderElectionNamespace: o.namespace,
		// A manager that cannot renew its lease ends, and the webhook with it: with the usual ten
		// seconds, every restart of the API server would leave AppTiers refused for a while. The
		// price is that after a crash policies wait for up to a minute for the next leader.
		LeaseDuration: ptr.To(60 * time.Second),
		RenewDeadline: ptr.To(50 * time.Second),
		RetryPeriod:   ptr.To(5 * time.Second),
		// The process ends when the manager does, so the next replica need not wait for the lease.
		LeaderElectionReleaseOnCancel: true,
	}
}
