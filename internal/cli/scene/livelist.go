package scene

import (
	"context"
	"errors"
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/kube"
)

// clusterClient reads a cluster.
type clusterClient struct {
	core    kubernetes.Interface
	dynamic dynamic.Interface
	apps    dynamic.NamespaceableResourceInterface
}

func newClusterClient(cluster *genericclioptions.ConfigFlags) (*clusterClient, error) {
	config, err := cluster.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w (or give manifests with -f, and leave --cluster out)", err)
	}
	if isNoCluster(cluster, config) {
		return nil, errors.New("no cluster is configured for kubectl: give manifests with -f or -k, or say where the cluster is, as " +
			"with --kubeconfig")
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("setting up the client: %w", err)
	}
	others, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("setting up the client: %w", err)
	}
	return &clusterClient{core: core, dynamic: others, apps: others.Resource(v1alpha1.GroupVersion.WithResource("apptiers"))}, nil
}

// defaultHost is where kubectl looks for a cluster that nobody has told it of.
const defaultHost = "http://localhost:8080"

// isNoCluster says whether neither a flag nor a configuration says where a cluster is.
func isNoCluster(cluster *genericclioptions.ConfigFlags, config *rest.Config) bool {
	if *cluster.APIServer != "" || config.Host != defaultHost {
		return false
	}
	raw, err := cluster.ToRawKubeConfigLoader().RawConfig()
	return err == nil && len(raw.Clusters) == 0
}

// ClusterConfig is how to reach the cluster that kubectl's flags mean, for what can be asked of a cluster alone.
func ClusterConfig(cluster *genericclioptions.ConfigFlags) (*rest.Config, error) {
	config, err := cluster.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	if isNoCluster(cluster, config) {
		return nil, errors.New("no cluster is configured for kubectl: say where it is, as with --kubeconfig")
	}
	return config, nil
}

// Client is a client of the cluster, for what does more than read it once.
func (o *SceneOptions) Client() (kubernetes.Interface, error) {
	config, err := ClusterConfig(o.cluster)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 50, 100 // as kubectl, and more than client-go's 5
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("setting up the client: %w", err)
	}
	return client, nil
}

// Listing lists the objects of a cluster that are of some kind, in every namespace: peers may be in any.
type Listing struct {
	of   string
	read func(context.Context, *clusterClient) ([]manifest.Object, error)
}

// What can be listed.
var (
	ListNamespaces = Listing{"namespaces", readNamespaces}
	ListPods       = Listing{"pods", readPods}
	ListNodes      = Listing{"nodes", readNodes}
	ListPolicies   = Listing{"NetworkPolicies", readPolicies}
	ListServices   = Listing{"Services", readServices}
	ListAPIServer  = Listing{"the API server", readAPIServer}
	ListAppTiers   = Listing{"AppTiers", readLiveAppTiers}
	ListBackends   = Listing{"webhooks", readWebhooks}
	ListNetworks   = Listing{"ServiceCIDRs", readServiceCIDRs}
	ListOthers     = Listing{"other policies", readOthers}
	ListJobs       = Listing{"Jobs and CronJobs", readJobs}
)

// Once drops listings that come again.
func Once(listings []Listing) []Listing {
	var out []Listing
	for _, l := range listings {
		if !slices.ContainsFunc(out, func(o Listing) bool { return o.of == l.of }) {
			out = append(out, l)
		}
	}
	return out
}

func readNamespaces(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	list, err := c.core.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	return liveObjects("Namespace", environment.Pointers(list.Items)), nil
}

func readPods(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	list, err := c.core.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	return liveObjects("Pod", environment.Pointers(list.Items)), nil
}

func readNodes(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	list, err := c.core.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return liveObjects("Node", environment.Pointers(list.Items)), nil
}

func readPolicies(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	list, err := c.core.NetworkingV1().NetworkPolicies(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing NetworkPolicies: %w", err)
	}
	staged, err := readStaged(ctx, c)
	return append(liveObjects("NetworkPolicy", environment.Pointers(list.Items)), staged...), err
}

// readStaged lists policies that are not enforced. A cluster that does not know the kind has none, and who may not list
// them is told nothing about them: they decide about no connection.
func readStaged(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	list, err := c.dynamic.Resource(v1alpha1.GroupVersion.WithResource("stagednetworkpolicies")).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing StagedNetworkPolicies: %w", err)
	}
	out := make([]*v1alpha1.StagedNetworkPolicy, len(list.Items))
	for i := range list.Items {
		out[i] = &v1alpha1.StagedNetworkPolicy{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, out[i]); err != nil {
			return nil, fmt.Errorf("reading StagedNetworkPolicy %s: %w", manifest.Qualified(&list.Items[i]), err)
		}
	}
	return liveObjects("StagedNetworkPolicy", out), nil
}

func readServices(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	list, err := c.core.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing Services: %w", err)
	}
	return liveObjects("Service", environment.Pointers(list.Items)), nil
}

// readAPIServer lists the EndpointSlices of the API server, the only ones that matter here.
func readAPIServer(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	selector := labels.Set{discoveryv1.LabelServiceName: kube.APIServer.Name}.String()
	list, err := c.core.DiscoveryV1().EndpointSlices(kube.APIServer.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("listing the EndpointSlices of the API server: %w", err)
	}
	return liveObjects("EndpointSlice", environment.Pointers(list.Items)), nil
}

// listSlices lists the EndpointSlices of a Service.
func listSlices(service types.NamespacedName) Listing {
	return Listing{"EndpointSlices of " + service.String(), func(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
		selector := labels.Set{discoveryv1.LabelServiceName: service.Name}.String()
		list, err := c.core.DiscoveryV1().EndpointSlices(service.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, fmt.Errorf("listing the EndpointSlices of Service %s: %w", service, err)
		}
		return liveObjects("EndpointSlice", environment.Pointers(list.Items)), nil
	}}
}

// readJobs lists Jobs and CronJobs. Who may not list them is told nothing about them.
func readJobs(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	cronJobs, err := c.core.BatchV1().CronJobs(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, fmt.Errorf("listing CronJobs: %w", err)
	}
	out := liveObjects("CronJob", environment.Pointers(cronJobs.Items))
	jobs, err := c.core.BatchV1().Jobs(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, fmt.Errorf("listing Jobs: %w", err)
	}
	return append(out, liveObjects("Job", environment.Pointers(jobs.Items))...), nil
}

// readWebhooks lists what has the API server call webhooks. Who may not list it is told nothing about them.
func readWebhooks(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	validating, err := c.core.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing ValidatingWebhookConfigurations: %w", err)
	}
	mutating, err := c.core.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing MutatingWebhookConfigurations: %w", err)
	}
	return slices.Concat(liveObjects("ValidatingWebhookConfiguration", environment.Pointers(validating.Items)),
		liveObjects("MutatingWebhookConfiguration", environment.Pointers(mutating.Items))), nil
}

// readServiceCIDRs lists where Services get their addresses from. A cluster before Kubernetes 1.33 does not say,
// nor is who may not list it told.
func readServiceCIDRs(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	list, err := c.core.NetworkingV1().ServiceCIDRs().List(ctx, metav1.ListOptions{})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing ServiceCIDRs: %w", err)
	}
	return liveObjects("ServiceCIDR", environment.Pointers(list.Items)), nil
}

// readLiveAppTiers: a cluster that does not know the kind has none.
func readLiveAppTiers(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	apps, err := c.appTiersIn(ctx, metav1.NamespaceAll)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return apps, err
}

// appTiersIn lists those of a namespace that are to stay; the policies of others go with them.
func (c *clusterClient) appTiersIn(ctx context.Context, namespace string) ([]manifest.Object, error) {
	list, err := c.apps.Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing AppTiers: %w", err)
	}
	var apps []*v1alpha1.AppTier
	for i := range list.Items {
		app, err := typed(&list.Items[i])
		if err != nil {
			return nil, err
		}
		if app.DeletionTimestamp.IsZero() {
			apps = append(apps, app)
		}
	}
	return liveObjects("AppTier", apps), nil
}

func liveObjects[T interface {
	metav1.Object
	runtime.Object
}](kind string, items []T) []manifest.Object {
	out := make([]manifest.Object, len(items))
	for i, item := range items {
		out[i] = manifest.Object{Object: item, Origin: manifest.Origin{Document: manifest.Document{File: manifest.LiveName, Built: true}},
			Name: kind + " " + manifest.Qualified(item)}
	}
	return out
}

// getWorkload reads one object that makes pods, if it exists.
func getWorkload(kind string, key types.NamespacedName) Listing {
	return Listing{kind + " " + key.String(), func(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
		var o interface {
			metav1.Object
			runtime.Object
		}
		var err error
		options := metav1.GetOptions{}
		switch apps := c.core.AppsV1(); kind {
		case "Deployment":
			o, err = apps.Deployments(key.Namespace).Get(ctx, key.Name, options)
		case "StatefulSet":
			o, err = apps.StatefulSets(key.Namespace).Get(ctx, key.Name, options)
		case "DaemonSet":
			o, err = apps.DaemonSets(key.Namespace).Get(ctx, key.Name, options)
		case "ReplicaSet":
			o, err = apps.ReplicaSets(key.Namespace).Get(ctx, key.Name, options)
		case "Job":
			o, err = c.core.BatchV1().Jobs(key.Namespace).Get(ctx, key.Name, options)
		default:
			o, err = c.core.BatchV1().CronJobs(key.Namespace).Get(ctx, key.Name, options)
		}
		switch {
		case apierrors.IsNotFound(err):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("reading %s %s: %w", kind, key, err)
		}
		return liveObjects(kind, []interface {
			metav1.Object
			runtime.Object
		}{o}), nil
	}}
}
