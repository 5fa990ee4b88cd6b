package apptier

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// checkValues refuses values that are not in a field's enumeration. The schema does too, but expansion must never see
// one, even without an API server.
func checkValues(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec) {
	oneOf(r, path.Child("mode"), spec.Mode, v1alpha1.Enforce, v1alpha1.Audit)
	isolation, dns := path.Child("isolation"), path.Child("dns")
	oneOf(r, isolation.Child("scope"), spec.Isolation.Scope, v1alpha1.ScopeTiers, v1alpha1.ScopeNamespace)
	oneOf(r, isolation.Child("sameNamespace"), spec.Isolation.SameNamespace, v1alpha1.SameNamespaceDeny, v1alpha1.SameNamespaceAllow)
	oneOf(r, dns.Child("mode"), spec.DNS.Mode, v1alpha1.DNSClusterDNS, v1alpha1.DNSCustom, v1alpha1.DNSNone)
	if spec.Mesh != nil {
		oneOf(r, path.Child("mesh", "provider"), spec.Mesh.Provider, v1alpha1.Istio, v1alpha1.Linkerd)
		oneOf(r, path.Child("mesh", "dataPlane"), spec.Mesh.DataPlane, v1alpha1.Sidecar, v1alpha1.Ambient)
	}
	oneOf(r, dns.Child("nodeLocal"), spec.DNS.NodeLocal, v1alpha1.NodeLocalAuto, v1alpha1.NodeLocalNever)
}

// oneOf refuses a value that is set and not among those allowed.
func oneOf[T ~string](r *check.Report, path *field.Path, value T, allowed ...T) {
	if value == "" || slices.Contains(allowed, value) {
		return
	}
	r.Find(netpol.Invalid, path, "use "+strings.Join(texts(allowed), ", ")+", or leave it out", "%q is not a value of this field", value)
}

func texts[T ~string](words []T) []string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = string(word)
	}
	return out
}

// checkProtocol refuses a protocol that NetworkPolicy does not know.
func checkProtocol(r *check.Report, path *field.Path, protocol corev1.Protocol) {
	oneOf(r, path.Child("protocol"), protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
}

func checkMesh(r *check.Report, path *field.Path, mesh *v1alpha1.Mesh) {
	if mesh == nil {
		return
	}
	if mesh.Provider == "" {
		r.Find(netpol.Invalid, path.Child("provider"), "say Istio or Linkerd, or leave mesh out", "it is unclear which mesh is meant")
	}
	if mesh.Provider == v1alpha1.Linkerd && mesh.DataPlane == v1alpha1.Ambient {
		r.Find(netpol.Invalid, path.Child("dataPlane"), "leave it out", "only Istio has the data plane Ambient")
	}
}
