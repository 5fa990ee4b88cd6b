package reach_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/reach"
)

// world is the cluster that the specifications are about.
const world = `
namespaces:
- metadata: {name: shop, labels: {team: sales}}
- metadata: {name: ops, labels: {team: operations}}
# There is no Namespace object for "lost".
nodes:
- metadata: {name: node-1}
  spec: {podCIDR: 10.1.0.64/26, podCIDRs: [10.1.0.64/26]}
  status:
    addresses:
    - {type: Hostname, address: node-1}
    - {type: InternalIP, address: 192.168.0.1}
    - {type: InternalIP, address: "fd00:192::1"}
    - {type: InternalIP, address: 10.1.0.2}
    - {type: InternalIP, address: 10.1.0.77}
- metadata: {name: node-2}
  status: {addresses: [{type: InternalIP, address: 192.168.0.2}, {type: ExternalIP, address: 198.51.100.2}]}
pods:
- metadata: {namespace: shop, name: web, labels: {app: web, track: stable}}
  spec: {nodeName: node-1}
  status: {phase: Running, podIPs: [{ip: 10.1.0.1}, {ip: "fd00:1::1"}]}
- metadata: {namespace: shop, name: db, labels: {app: db}}
  spec:
    nodeName: node-2
    initContainers:
    - {name: setup, ports: [{name: setup, containerPort: 7000}]}
    - {name: exporter, restartPolicy: Always, ports: [{name: metrics, containerPort: 9187}]}
    containers:
    - {name: db, ports: [{name: pg, containerPort: 5432}, {name: dns, containerPort: 53, protocol: UDP}]}
    - {name: pooler, ports: [{name: pg, containerPort: 6432}]}
  status: {phase: Running, podIP: 10.2.0.1, podIPs: [{ip: 10.2.0.1}, {ip: "fd00:2::1"}]}
- metadata: {namespace: ops, name: admin, labels: {app: admin}}
  spec: {nodeName: node-1}
  status: {phase: Running, podIP: 10.1.0.2}
- metadata: {namespace: ops, name: web, labels: {app: web}}
  spec: {nodeName: node-2}
  status: {phase: Running, podIPs: [{ip: "fd00:2::2"}]}
- metadata: {namespace: lost, name: web, labels: {app: web}}
  spec: {nodeName: node-2}
  status: {phase: Running, podIP: 10.2.0.3}
- metadata: {namespace: shop, name: done, labels: {app: web}}
  spec: {nodeName: node-1}
  status: {phase: Succeeded, podIP: 10.1.0.9}
- metadata: {namespace: shop, name: broken, labels: {app: web}}
  spec: {nodeName: node-1}
  status: {phase: Failed, podIP: 10.1.0.2}
- metadata: {namespace: shop, name: new, labels: {app: web}}
  status: {phase: Pending}
- metadata: {namespace: shop, name: twin-1}
  status: {phase: Running, podIP: 10.9.9.9}
- metadata: {namespace: shop, name: twin-2}
  status: {phase: Running, podIP: 10.9.9.9}
- metadata: {namespace: shop, name: agent, labels: {app: web}}
  spec: {nodeName: node-1, hostNetwork: true, containers: [{name: agent, ports: [{name: pg, containerPort: 5432}]}]}
  status: {phase: Running, podIP: 192.168.0.1, hostIPs: [{ip: 192.168.0.1}]}
- metadata: {namespace: shop, name: agent-new, labels: {app: web}}
  spec: {hostNetwork: true}
  status: {phase: Pending}
- metadata: {namespace: shop, name: agent-starting, labels: {app: web}}
  spec: {nodeName: node-1, hostNetwork: true}
  status: {phase: Pending, hostIP: 192.168.0.1}
- metadata: {namespace: shop, name: edge, labels: {app: edge}}
  spec: {nodeName: node-3}
  status: {phase: Running, podIP: 10.3.0.1, hostIPs: [{ip: 192.168.0.3}]}
- metadata: {namespace: shop, name: edge-2, labels: {app: edge}}
  spec: {nodeName: node-3}
  status: {phase: Running, podIP: 10.3.0.2}
`

// spec is one rule of meaning: with these policies of namespace shop, these flows have these
// verdicts.
type spec struct {
	name string
	// policies are NetworkPolicySpecs as YAML, named p0, p1 and so on.
	policies []string
	// flows are written "source destination port[/protocol] verdict".
	flows []string
}

func (s spec) run(t *testing.T) {
	t.Run(s.name, func(t *testing.T) {
		t.Parallel()
		evaluator := reach.New(snapshot(t, s.policies...))
		for _, line := range s.flows {
			flow, want := parseFlow(t, line)
			if got := evaluator.Allowed(flow); got.Verdict != want {
				t.Errorf("%s\n%+v\n%s", line, got, got)
			}
		}
	})
}

func runAll(t *testing.T, specs []spec) {
	t.Helper()
	t.Parallel()
	for _, s := range specs {
		s.run(t)
	}
}

// snapshot is the world with policies in namespace shop.
func snapshot(t testing.TB, policies ...string) reach.Snapshot {
	t.Helper()
	var s reach.Snapshot
	if err := yaml.Unmarshal([]byte(world), &s); err != nil {
		t.Fatal(err)
	}
	for i, text := range policies {
		np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("p%d", i)}}
		if err := yaml.UnmarshalStrict([]byte(text), &np.Spec); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		s.Policies = append(s.Policies, np)
	}
	return s
}

func parseFlow(t testing.TB, line string) (reach.Flow, reach.Verdict) {
	t.Helper()
	fields := strings.Fields(line)
	if len(fields) != 4 {
		t.Fatalf("%q: want source, destination, port and verdict", line)
	}
	number, protocol, _ := strings.Cut(fields[2], "/")
	port, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	flow := reach.Flow{
		Source:      parseEndpoint(t, fields[0]),
		Destination: parseEndpoint(t, fields[1]),
		Protocol:    corev1.Protocol(protocol),
		Port:        int32(port),
	}
	return flow, reach.Verdict(fields[3])
}

// parseEndpoint reads "namespace/name", "address", or "namespace/name@address".
func parseEndpoint(t testing.TB, text string) reach.Endpoint {
	t.Helper()
	var e reach.Endpoint
	name, address, isBoth := strings.Cut(text, "@")
	namespace, short, isPod := strings.Cut(name, "/")
	if isPod {
		e.Pod = types.NamespacedName{Namespace: namespace, Name: short}
	} else {
		address = name
	}
	if isBoth || !isPod {
		ip, err := netip.ParseAddr(address)
		if err != nil {
			t.Fatal(err)
		}
		e.Address = ip
	}
	return e
}
