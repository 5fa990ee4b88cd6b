package doctor

import (
	"crypto/x509"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Read is what was read of one kind.
type Read[T any] struct {
	Items []T
	// Unread says why nothing was, as in "you may not list nodes"; empty if all was read. Then that there is none of
	// something means that there is none.
	Unread string
}

// Facts are what was read of a cluster.
type Facts struct {
	// Plugin is the version of this program.
	Plugin string
	// Groups are the API groups that are served.
	Groups Read[string]
	// CRDs are our own, their metadata alone.
	CRDs Read[metav1.PartialObjectMetadata]
	// Deployments are those of managers, DaemonSets all that there are: network plugins are known by them.
	Deployments Read[appsv1.Deployment]
	DaemonSets  Read[appsv1.DaemonSet]
	// Pods are those of managers and enforcers.
	Pods  Read[corev1.Pod]
	Nodes Read[corev1.Node]
	// Events are those that enforcers wrote.
	Events Read[corev1.Event]
	// ConfigMaps are those of kube-proxy and Cilium, where they usually are.
	ConfigMaps Read[corev1.ConfigMap]
	// Webhooks are the configurations by which the API server asks the manager.
	Webhooks Read[admissionv1.ValidatingWebhookConfiguration]
	// Certificates are what the manager serves the webhook with, at most one, and those between it and an authority.
	Certificates Read[*x509.Certificate]
	// Asked is whether the API server had an AppTier judged that is to be refused.
	Asked    Read[bool]
	AppTiers Read[v1alpha1.AppTier]
}

// Labels of what is installed: see config/.
const (
	labelName      = "app.kubernetes.io/name"
	labelComponent = "app.kubernetes.io/component"
	labelVersion   = "app.kubernetes.io/version"
	manager        = "manager"
	enforcer       = "enforcer"
)

// is tells whether labels are those of one of our components.
func is(component string, labels map[string]string) bool {
	return labels[labelName] == "apptier" && labels[labelComponent] == component
}

// enforcers are the DaemonSets of the enforcer.
func (f *Facts) enforcers() []appsv1.DaemonSet {
	var out []appsv1.DaemonSet
	for _, set := range f.DaemonSets.Items {
		if is(enforcer, set.Labels) {
			out = append(out, set)
		}
	}
	return out
}
