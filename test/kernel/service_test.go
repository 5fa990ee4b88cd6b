package kernel

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/test/lab"
)

// service is an address that no interface has, as a service's is, and servicePort its port.
var service = lab.Host{
	Name: "service",
	V4:   netip.MustParseAddr("10.96.0.1"), V6: netip.MustParseAddr("fd00:10:96::1"),
}

const servicePort = 443

var portProtocols = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}

// serve does what kube-proxy does for a service of one endpoint: it translates the service's
// address, and the source of those whom the endpoint would answer directly.
func (l labNode) serve(t *testing.T, endpoint lab.Host, port uint16, masquerade string) {
	t.Helper()
	var script strings.Builder
	for _, f := range []struct {
		family, header   string
		service, address netip.Addr
	}{
		{"ip", "ip", service.V4, endpoint.V4},
		{"ip6", "ip6", service.V6, endpoint.V6},
	} {
		to := netip.AddrPortFrom(f.address, port)
		fmt.Fprintf(&script, "table %s service {}\ndelete table %s service\ntable %s service {\n", f.family, f.family, f.family)
		for hook, place := range map[string]string{"prerouting": "dstnat", "output": "-100"} {
			fmt.Fprintf(&script, "chain %s { type nat hook %s priority %s;\n", hook, hook, place)
			for _, protocol := range portProtocols {
				fmt.Fprintf(&script, "%s daddr %s %s dport %d dnat to %s;\n", f.header, f.service, strings.ToLower(string(protocol)), servicePort, to)
			}
			script.WriteString("}\n")
		}
		fmt.Fprintf(&script, "chain postrouting { type nat hook postrouting priority srcnat; %s masquerade; }\n}\n",
			strings.NewReplacer("HEADER", f.header, "ENDPOINT", f.address.String()).Replace(masquerade))
	}
	l.NFT(t, script.String())
}

// What kube-proxy masquerades of a service's packets.
const (
	hairpins = "HEADER saddr ENDPOINT HEADER daddr ENDPOINT"
	all      = "HEADER daddr ENDPOINT"
)

// toService is every way for a host to use the service.
func toService(from lab.Host) []lab.Cell {
	var cells []lab.Cell
	for _, protocol := range portProtocols {
		for _, v6 := range []bool{false, true} {
			cells = append(cells, lab.Cell{From: from, To: service, V6: v6, Protocol: protocol, Port: servicePort})
		}
	}
	return cells
}

// expect probes cells and wants all of them to pass, or none.
func (l labNode) expect(t *testing.T, cells []lab.Cell, want bool) {
	t.Helper()
	patience := map[bool]time.Duration{true: soon, false: idle}[want]
	for i, passed := range l.Probe(t, cells, patience) {
		if passed != want {
			t.Errorf("%s: passes %v, want %v", cells[i], passed, want)
		}
	}
}

// A pod that reaches itself through a service is never blocked: the packet leaves the pod, is
// translated, and comes back.
func TestAPodReachesItselfThroughAService(t *testing.T) {
	eachWiring(t, func(t *testing.T, l labNode) {
		pod := l.Hosts[0]
		snapshot := l.Shop()
		snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, policyTypes: [Ingress, Egress]}`)}
		l.Listen(t, probePorts)
		l.serve(t, pod, 80, hairpins)
		l.Load(t, snapshot, 1)
		l.expect(t, toService(pod), true)
		l.expect(t, toService(l.Hosts[1]), false)
	})
}

// A service's address is translated before a connection is judged: by the pod that answers, on the
// port that it listens on, and by the client behind a masquerade.
func TestAServiceIsJudgedByItsEndpoint(t *testing.T) {
	each := func(port int) string {
		return fmt.Sprintf("{port: %d}, {port: %d, protocol: UDP}, {port: %d, protocol: SCTP}", port, port, port)
	}
	fill := strings.NewReplacer("SERVICEPORT", each(servicePort), "PORT", each(8080))
	eachWiring(t, func(t *testing.T, l labNode) {
		l.Listen(t, probePorts)
		for i, test := range []struct {
			name, policy string
			want         bool
		}{
			{"the pod's port is allowed", `{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [PORT]}]}`, true},
			{"the service's port is not", `{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [SERVICEPORT]}]}`, false},
			{"another client is not", `{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: c}}}]}]}`, false},
			{"egress to the pod is allowed", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: b}}}], ports: [PORT]}]}`, true},
			{"egress to the service's address is not", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.0/16}}, {ipBlock: {cidr: "fd00:10:96::/64"}}]}]}`, false},
			{"egress to the service's port is not", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{ports: [SERVICEPORT]}]}`, false},
		} {
			t.Run(test.name, func(t *testing.T) {
				snapshot := l.Shop()
				snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", fill.Replace(test.policy))}
				for j, masquerade := range []string{hairpins, all} {
					l.serve(t, l.Hosts[1], 8080, masquerade)
					l.Load(t, snapshot, uint16(2*i+j+1))
					l.expect(t, toService(l.Hosts[0]), test.want)
				}
			})
		}
	})
}

// The kubelet probes pods from the node, by whichever of its addresses; so does anyone there
// through a service. Isolated pods answer, and may connect to their node.
func TestANodeAndItsPodsReachEachOther(t *testing.T) {
	eachWiring(t, func(t *testing.T, l labNode) {
		l.Listen(t, probePorts)
		l.serve(t, l.Hosts[0], 80, hairpins)
		snapshot := l.Shop()
		snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, policyTypes: [Ingress, Egress]}`)}
		l.Load(t, snapshot, 1)
		node, gateway := l.Host("node"), l.Gateway()
		cells := toService(node)
		for _, end := range []lab.Host{node, gateway} {
			for _, v6 := range []bool{false, true} {
				cells = append(cells,
					lab.Cell{From: end, To: l.Hosts[0], V6: v6, Protocol: "TCP", Port: 80},
					lab.Cell{From: end, To: l.Hosts[0], V6: v6, Protocol: lab.ICMP},
					lab.Cell{From: l.Hosts[0], To: end, V6: v6, Protocol: "TCP", Port: 80},
					lab.Cell{From: l.Hosts[0], To: end, V6: v6, Protocol: lab.ICMP})
			}
		}
		l.expect(t, cells, true)
	})
}
