// Package gather reads what package doctor judges, with the rights of whoever asks. It writes nothing: the AppTier that
// shows whether the webhook is asked is created as a dry run, of which nothing comes.
package gather

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/doctor"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/internal/version"
	"github.com/apptier/apptier/webhooks/probe"
)

// Names that config/ gives.
const (
	webhookConfiguration = "apptier-validating-webhook-configuration"
	certificateSecret    = "apptier-webhook-cert" //nolint:gosec // the name of a Secret
	reporter             = "apptier.dev/enforcer"
)

// patience is how long a request to the cluster may take, unless --request-timeout says so.
const patience = 15 * time.Second

// Cluster reads the cluster that kubectl's flags mean. An AppTier is tried in the namespace that they mean.
func Cluster(ctx context.Context, flags *genericclioptions.ConfigFlags) (*doctor.Facts, error) {
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading kubectl's configuration: %w", err)
	}
	config, err := scene.ClusterConfig(flags)
	if err != nil {
		return nil, err
	}
	if config.Timeout == 0 {
		config.Timeout = patience
	}
	return Facts(ctx, config, namespace)
}

// Facts reads a cluster. What may not be read is said in the facts; an error is that nothing can be asked. Namespace is
// where an AppTier is tried.
func Facts(ctx context.Context, config *rest.Config, namespace string) (*doctor.Facts, error) {
	all := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(all); err != nil {
			return nil, fmt.Errorf("setting up the client: %w", err)
		}
	}
	groups, err := readGroups(config)
	if err != nil {
		return nil, err
	}
	api, err := client.New(config, client.Options{Scheme: all})
	if err != nil {
		return nil, fmt.Errorf("setting up the client: %w", err)
	}
	c := &reader{ctx, api}
	f := &doctor.Facts{Plugin: version.String(), Groups: groups, CRDs: c.crds(), Webhooks: c.webhooks()}
	ours := client.MatchingLabels{"app.kubernetes.io/name": "apptier"}
	f.Deployments = read(c, &appsv1.DeploymentList{}, func(l *appsv1.DeploymentList) []appsv1.Deployment { return l.Items },
		client.MatchingLabels{"app.kubernetes.io/name": "apptier", "app.kubernetes.io/component": "manager"})
	f.DaemonSets = read(c, &appsv1.DaemonSetList{}, func(l *appsv1.DaemonSetList) []appsv1.DaemonSet { return l.Items })
	f.Pods = read(c, &corev1.PodList{}, func(l *corev1.PodList) []corev1.Pod { return l.Items }, ours)
	f.Nodes = read(c, &corev1.NodeList{}, func(l *corev1.NodeList) []corev1.Node { return l.Items })
	f.Events = read(c, &corev1.EventList{}, func(l *corev1.EventList) []corev1.Event { return l.Items },
		client.MatchingFields{"reportingComponent": reporter})
	f.AppTiers = read(c, &v1alpha1.AppTierList{}, func(l *v1alpha1.AppTierList) []v1alpha1.AppTier { return l.Items })
	f.ConfigMaps = c.configMaps(f.DaemonSets.Items)
	f.Certificates = c.certificates(f.Webhooks.Items)
	f.Asked = c.asked(namespace)
	return f, nil
}

// readGroups asks for the API groups, which everybody may who may ask for anything.
func readGroups(config *rest.Config) (doctor.Read[string], error) {
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return doctor.Read[string]{}, fmt.Errorf("setting up the client: %w", err)
	}
	groups, err := api.ServerGroups()
	switch {
	case apierrors.IsForbidden(err):
		return doctor.Read[string]{Unread: doctor.MayNot + " list API groups"}, nil
	case err != nil:
		return doctor.Read[string]{}, fmt.Errorf("asking the API server: %w", err)
	}
	var out doctor.Read[string]
	for _, g := range groups.Groups {
		out.Items = append(out.Items, g.Name)
	}
	return out, nil
}

// reader reads with one client until a context ends.
type reader struct {
	context context.Context //nolint:containedctx // of one call of Facts
	client.Client
}

// read lists objects of all namespaces.
func read[L client.ObjectList, T any](c *reader, list L, items func(L) []T, options ...client.ListOption) doctor.Read[T] {
	what := fmt.Sprintf("%T", list)
	if err := c.List(c.context, list, options...); err != nil {
		return doctor.Read[T]{Unread: because("list", plural(what), err)}
	}
	return doctor.Read[T]{Items: items(list)}
}

// plural makes "Nodes" of "*v1.NodeList".
func plural(listType string) string {
	_, name, _ := strings.Cut(listType, ".")
	return strings.TrimSuffix(name, "List") + "s"
}

// because says why something was not read.
func because(verb, what string, err error) string {
	if apierrors.IsForbidden(err) {
		return fmt.Sprintf("%s %s %s", doctor.MayNot, verb, what)
	}
	return fmt.Sprintf("cannot %s %s: %v", verb, what, err)
}

// crds reads what our own kinds' definitions say of their version.
func (c *reader) crds() doctor.Read[metav1.PartialObjectMetadata] {
	var out doctor.Read[metav1.PartialObjectMetadata]
	for _, name := range doctor.CRDs() {
		var crd metav1.PartialObjectMetadata
		crd.SetGroupVersionKind(crdKind)
		switch err := c.Get(c.context, client.ObjectKey{Name: name}, &crd); {
		case apierrors.IsNotFound(err):
		case err != nil:
			return doctor.Read[metav1.PartialObjectMetadata]{Unread: because("get", "CustomResourceDefinitions", err)}
		default:
			out.Items = append(out.Items, crd)
		}
	}
	return out
}

var crdKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

func (c *reader) webhooks() doctor.Read[admissionv1.ValidatingWebhookConfiguration] {
	var one admissionv1.ValidatingWebhookConfiguration
	switch err := c.Get(c.context, client.ObjectKey{Name: webhookConfiguration}, &one); {
	case apierrors.IsNotFound(err):
		return doctor.Read[admissionv1.ValidatingWebhookConfiguration]{}
	case err != nil:
		return doctor.Read[admissionv1.ValidatingWebhookConfiguration]{Unread: because("get", "ValidatingWebhookConfigurations", err)}
	}
	return doctor.Read[admissionv1.ValidatingWebhookConfiguration]{Items: []admissionv1.ValidatingWebhookConfiguration{one}}
}

// configMaps reads those of kube-proxy, and of Cilium where it runs.
func (c *reader) configMaps(sets []appsv1.DaemonSet) doctor.Read[corev1.ConfigMap] {
	wanted := []client.ObjectKey{{Namespace: metav1.NamespaceSystem, Name: "kube-proxy"}}
	for _, set := range sets {
		if set.Name == "cilium" || set.Name == "anetd" {
			wanted = append(wanted, client.ObjectKey{Namespace: set.Namespace, Name: "cilium-config"})
		}
	}
	var out doctor.Read[corev1.ConfigMap]
	for _, key := range wanted {
		var one corev1.ConfigMap
		switch err := c.Get(c.context, key, &one); {
		case apierrors.IsNotFound(err):
		case err != nil:
			return doctor.Read[corev1.ConfigMap]{Unread: because("get", "ConfigMap "+key.String(), err)}
		default:
			out.Items = append(out.Items, one)
		}
	}
	return out
}

// certificates reads what the webhook is served with. Of the Secret nothing else is kept.
func (c *reader) certificates(configurations []admissionv1.ValidatingWebhookConfiguration) doctor.Read[*x509.Certificate] {
	for _, configuration := range configurations {
		for _, hook := range configuration.Webhooks {
			if hook.ClientConfig.Service == nil {
				continue
			}
			key := client.ObjectKey{Namespace: hook.ClientConfig.Service.Namespace, Name: certificateSecret}
			var secret corev1.Secret
			switch err := c.Get(c.context, key, &secret); {
			case apierrors.IsNotFound(err):
				return doctor.Read[*x509.Certificate]{}
			case err != nil:
				return doctor.Read[*x509.Certificate]{Unread: because("get", "Secret "+key.String(), err)}
			}
			found, err := cert.ParseCertsPEM(secret.Data[corev1.TLSCertKey])
			if err != nil {
				return doctor.Read[*x509.Certificate]{} // as good as none
			}
			return doctor.Read[*x509.Certificate]{Items: found}
		}
	}
	return doctor.Read[*x509.Certificate]{}
}

func (c *reader) asked(namespace string) doctor.Read[bool] {
	asked, err := probe.Asked(c.context, c, namespace)
	if apierrors.IsInternalError(err) { // the webhook must answer, with config/components/strict, and does not
		return doctor.Read[bool]{Items: []bool{false}}
	}
	if err != nil {
		return doctor.Read[bool]{Unread: because("create", "AppTiers in namespace "+namespace+", not even as a dry run", err)}
	}
	return doctor.Read[bool]{Items: []bool{asked}}
}
