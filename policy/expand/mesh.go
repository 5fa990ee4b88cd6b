package expand

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// mesh is what a service mesh adds to the connections of an application.
type mesh struct {
	// controlPlane is what every pod's proxy connects to.
	controlPlane []controlPlane
	// tunnel is the TCP port at which a pod's proxy takes connections for any other TCP port of the
	// pod, or 0: a policy sees this port alone.
	tunnel int32
	// probers are the addresses that the node's probes seem to come from.
	probers []netip.Addr
}

type controlPlane struct {
	namespace string
	pods      map[string]string
	ports     []int32
}

// meshOf knows the meshes as they install themselves.
func meshOf(spec *v1alpha1.Mesh) mesh {
	switch {
	case spec == nil:
		return mesh{}
	case spec.Provider == v1alpha1.Istio && spec.DataPlane == v1alpha1.Ambient:
		return mesh{
			// HBONE: https://istio.io/latest/docs/ambient/usage/networkpolicy/, which also gives the
			// addresses of probes.
			tunnel:  15008,
			probers: []netip.Addr{netip.MustParseAddr("169.254.7.127"), netip.MustParseAddr("fd16:9254:7127:1337:ffff:ffff:ffff:ffff")},
		}
	case spec.Provider == v1alpha1.Istio:
		return mesh{controlPlane: []controlPlane{
			// https://istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio
			{"istio-system", map[string]string{"app": "istiod"}, []int32{15012}},
		}}
	case spec.Provider == v1alpha1.Linkerd:
		const component = "linkerd.io/control-plane-component"
		return mesh{
			// https://linkerd.io/2-edge/reference/architecture/: identity, destination, policy.
			controlPlane: []controlPlane{
				{"linkerd", map[string]string{component: "identity"}, []int32{8080}},
				{"linkerd", map[string]string{component: "destination"}, []int32{8086, 8090}},
			},
			// Opaque protocols, such as those of databases, go to the other proxy's inbound port:
			// https://linkerd.io/2-edge/features/protocol-detection/.
			tunnel: 4143,
		}
	}
	return mesh{}
}

// Tunnel is the TCP port at which a pod's proxy takes connections for any other TCP port of the pod; 0 if
// there is no mesh, or none that does so.
func Tunnel(spec *v1alpha1.Mesh) int32 { return meshOf(spec).tunnel }

// Probers are the addresses that the node's probes seem to come from in a mesh; none where they come
// from the node, which every pod may be reached from.
func Probers(spec *v1alpha1.Mesh) []netip.Addr { return meshOf(spec).probers }

// controlPlane is what a pod's proxy needs to be part of its mesh.
func (x *expansion) controlPlane() []allowance {
	var allowed []allowance
	for _, plane := range x.mesh.controlPlane {
		var ports model.Ports
		for _, port := range plane.ports {
			ports.Of = append(ports.Of, model.Port{Protocol: corev1.ProtocolTCP, Start: port})
		}
		pods := onePeer(podsOf(plane.namespace, metav1.LabelSelector{MatchLabels: plane.pods}, x.app.Namespace))
		allowed = append(allowed, allowance{model.Setting("mesh"), pods, ports})
	}
	return allowed
}

// connect allows a connection that is declared at a place, and what a mesh makes of it between pods.
func (x *expansion) connect(rules *ruleSet, at model.Place, with end, ports model.Ports) {
	rules.add(at, with.peers, ports)
	if x.mesh.tunnel == 0 || !with.pods || !ports.HasTCP() {
		return
	}
	pods := with.peers
	if pods.everyone { // only pods are part of a mesh
		pods = onePeer(networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}})
	}
	rules.add(at, pods, model.Ports{Of: []model.Port{{Protocol: corev1.ProtocolTCP, Start: x.mesh.tunnel}}})
}
