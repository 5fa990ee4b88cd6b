package apptier

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/model"
)

// ProbeUnreachable reports where the kubelet's probes do not reach a tier.
var ProbeUnreachable = register(check.Check{
	ID: "probe-unreachable", Severity: check.Warn, About: check.OfAppTiers,
	Title: "Probes that are denied",
	Text: `The kubelet's probes always pass, because a pod can be reached from its own node. In Istio's ambient mesh they
come from an address of the mesh (169.254.7.127). An AppTier that names the mesh allows this address. Reported if a pod
of the mesh, by its label or its namespace's, has a probe on a port that nothing opens to this address. For the probes
of load balancers see health-check-unreachable.`,
})

func init() { runs[ProbeUnreachable] = checkProbes }

// dataPlaneLabel puts a pod, or all pods of a namespace, into Istio's ambient mesh with the value
// "ambient", and takes a pod out of it with "none":
// https://istio.io/latest/docs/ambient/usage/add-workloads/.
const dataPlaneLabel = "istio.io/dataplane-mode"

// checkProbes finds tiers whose pods' probes are denied. The kubelet's probes always pass, because a pod can be reached
// from its own node. But in an ambient mesh they come from other addresses, which are allowed only if the AppTier names
// the mesh.
func checkProbes(r *check.Report, in *appView) {
	x, app, w := in.Index, in.App, in.world
	if !w.Known.Pods || len(expand.Probers(app.Spec.Mesh)) > 0 {
		return
	}
	probers := expand.Probers(&v1alpha1.Mesh{Provider: v1alpha1.Istio, DataPlane: v1alpha1.Ambient})
	pods := w.PodsIn(app.Namespace)
	tiers, paths := tiersOf(app)
	for i, tier := range tiers {
		if !model.Isolates(&app.Spec, tier.tier, v1alpha1.Ingress) {
			continue
		}
		open := openTo(probers, &app.Spec, tier.tier)
		for _, pod := range tier.knownAmong(pods, w) {
			if pod.Spec.HostNetwork || !tier.pods.Match(connset.Subject, pod.Labels) || !isAmbient(pod, x.At(app.Namespace).Labels) {
				continue
			}
			if denied := slices.DeleteFunc(probedPorts(pod), open.Contains); len(denied) > 0 {
				r.Find(ProbeUnreachable, paths[i], "write spec.mesh: {provider: Istio, dataPlane: Ambient}",
					"%s is in Istio's ambient mesh, where the kubelet's probes come from %s, and nothing allows them on %s: "+
						"the kubelet would restart it although it answers",
					words.Pod(pod), probers[0], words.Ports(denied))
				break // one example is enough
			}
		}
	}
}

// isAmbient says whether a pod is in the ambient mesh; its own label takes precedence over its namespace's.
func isAmbient(pod *corev1.Pod, namespace map[string]string) bool {
	if mode, found := pod.Labels[dataPlaneLabel]; found {
		return mode == "ambient"
	}
	return namespace[dataPlaneLabel] == "ambient"
}

// openTo are the ports of a tier that its rules open to any of some addresses.
func openTo(addresses []netip.Addr, spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier) connset.Ports {
	var open connset.Ports
	for rule := range model.Rules(spec) {
		isAdmitted := func(peer v1alpha1.Peer) bool { return admits(peer, addresses) }
		if rule.Direction == v1alpha1.Ingress && rule.Restricts(spec, tier) && slices.ContainsFunc(rule.Peers, isAdmitted) {
			ports, _ := connset.RulePorts(rule.PortsOf(tier).OfPolicy())
			open = open.Union(ports)
		}
	}
	return open
}

// admits says whether a peer holds any of some addresses.
func admits(peer v1alpha1.Peer, addresses []netip.Addr) bool {
	if peer.Networks == nil {
		return peer.Everyone != nil
	}
	allowed := addressesOf(peer.Networks)
	return !allowed.Intersect(connset.SingleAddresses(addresses...)).IsEmpty()
}

// probedPorts are the ports of a pod that its node's probes connect to, as far as their numbers are
// known. A probe with a host of its own leaves the pod, and one that runs a command does not connect.
func probedPorts(pod *corev1.Pod) []connset.Port {
	var out []connset.Port
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
			if probe == nil {
				continue
			}
			if number := probedPort(probe.ProbeHandler, container.Ports); number > 0 {
				out = append(out, connset.PortOf(corev1.ProtocolTCP, number))
			}
		}
	}
	return out
}

// probedPort is 0 if there is none, or if no port has the name.
func probedPort(probe corev1.ProbeHandler, declared []corev1.ContainerPort) int32 {
	var port intstr.IntOrString
	switch {
	case probe.HTTPGet != nil && probe.HTTPGet.Host == "":
		port = probe.HTTPGet.Port
	case probe.TCPSocket != nil && probe.TCPSocket.Host == "":
		port = probe.TCPSocket.Port
	case probe.GRPC != nil:
		return probe.GRPC.Port
	}
	if port.Type == intstr.Int {
		return port.IntVal
	}
	for _, d := range declared {
		if d.Name == port.StrVal {
			return d.ContainerPort
		}
	}
	return 0
}
