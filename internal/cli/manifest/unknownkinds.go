package manifest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/apptier/apptier/internal/cli/assertion"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/world"
)

// addUnknown keeps what counts of an object whose kind is not known here: a policy of another kind, which may
// decide what NetworkPolicies do not; a workload, which its pod template shows; and that there is an object
// of which nobody knows which pods its operator makes.
func (d *Decoder) addUnknown(from Origin, text []byte, gvk schema.GroupVersionKind) {
	switch {
	case isMisnamed(gvk):
		d.Problems = append(d.Problems, &Problem{
			origin: from, path: "apiVersion", who: nameIn(gvk.Kind, text),
			what: "no API server has " + gvk.Kind + " of " + gvk.GroupVersion().String() + ", so this protects nothing",
			fix:  "write apiVersion: " + networkingv1.SchemeGroupVersion.String() + " and kind: NetworkPolicy",
		})
		return
	case IsOtherPolicy(gvk):
	case gvk.Kind == "APIService", gvk.Kind == "CustomResourceDefinition":
		if !bytes.Contains(text, []byte(`"service"`)) {
			return
		}
	case isBuiltIn(gvk.Group) || isWithoutPods(gvk):
		return
	default:
		d.Strangers = true
		if !bytes.Contains(text, []byte(`"containers"`)) {
			return
		}
	}
	o := &unstructured.Unstructured{}
	if utiljson.Unmarshal(text, &o.Object) != nil {
		return
	}
	isCluster := IsOtherPolicy(gvk) || len(world.BackendsOf(o)) > 0
	if o.GetNamespace() == "" && !isCluster {
		o.SetNamespace(d.namespace)
	}
	d.nameGenerated(o)
	if isCluster || kube.WorkloadOf(o) != nil {
		d.keep(Object{Object: o, Origin: from, Name: gvk.Kind + " " + Qualified(o)})
	}
}

// isMisnamed says whether a kind is meant for a NetworkPolicy and is of a group, version or spelling that no
// API server has: extensions/v1beta1 went with Kubernetes 1.16
// (https://kubernetes.io/docs/reference/using-api/deprecation-guide/#networkpolicy-v116).
func isMisnamed(gvk schema.GroupVersionKind) bool {
	if gvk.GroupVersion() == networkingv1.SchemeGroupVersion && (gvk.Kind == "NetworkPolicy" || gvk.Kind == "NetworkPolicyList") {
		return false
	}
	near := levenshtein.ComputeDistance(strings.ToLower(gvk.Kind), "networkpolicy") <= 2 || strings.EqualFold(gvk.Kind, "NetworkPolicies")
	return near && slices.Contains([]string{networkingv1.GroupName, "extensions", "networking", "apps", "policy", ""}, gvk.Group)
}

// IsOtherPolicy says whether a kind is one of policies about connections that are not NetworkPolicies: those
// of SIG Network, and of network plugins. Staged ones of Calico decide nothing.
func IsOtherPolicy(gvk schema.GroupVersionKind) bool {
	switch gvk.Group {
	case "policy.networking.k8s.io", "projectcalico.org", "crd.projectcalico.org", "cilium.io", "crd.antrea.io":
		return strings.HasSuffix(gvk.Kind, "NetworkPolicy") && !strings.HasPrefix(gvk.Kind, "Staged")
	default:
		return gvk.Group == "k8s.ovn.org" && gvk.Kind == "EgressFirewall"
	}
}

// isBuiltIn says whether a group is one of Kubernetes' own, whose kinds that make pods are all known. Of a
// Gateway, controllers make pods.
func isBuiltIn(group string) bool {
	own := []string{"", "apps", "batch", "autoscaling", "policy", "extensions"}
	return slices.Contains(own, group) || strings.HasSuffix(group, ".k8s.io") && group != "gateway.networking.k8s.io"
}

// isWithoutPods says so of kinds that are in many manifests and never stand for pods.
func isWithoutPods(gvk schema.GroupVersionKind) bool {
	switch gvk.Group {
	case "monitoring.coreos.com":
		return slices.Contains([]string{"ServiceMonitor", "PodMonitor", "PrometheusRule", "Probe", "ScrapeConfig", "AlertmanagerConfig"},
			gvk.Kind)
	case "networking.istio.io", "security.istio.io", "external-secrets.io", assertion.GroupVersion.Group:
		return true
	default:
		return gvk.Kind == "HTTPRoute" || gvk.Kind == "GRPCRoute"
	}
}
