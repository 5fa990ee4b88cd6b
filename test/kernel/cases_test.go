package kernel

import (
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

var probePorts = []uint16{80, 81, 8080}

// eachWiring runs a test on nodes that route between their pods, and on nodes that switch.
func eachWiring(t *testing.T, test func(t *testing.T, l labNode)) {
	for _, w := range lab.Wirings() {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newLab(t, w))
		})
	}
}

// What the API's documentation says, clause by clause; see policy/reach for where it says so.
func TestKernelAgreesWithReach(t *testing.T) {
	eachWiring(t, func(t *testing.T, l labNode) {
		l.Listen(t, probePorts)
		for i, test := range []struct{ name, policy string }{
			{"nothing is isolated", ``},
			{"policyTypes are ingress by default", `{podSelector: {}}`},
			{"policyTypes are both by default when there are egress rules", `{podSelector: {}, egress: [{ports: [{port: 80}]}]}`},
			{"rules of a direction that is not in policyTypes are dead", `{podSelector: {}, policyTypes: [Ingress], ingress: [{}], egress: [{ports: [{port: 80}]}]}`},
			{"deny all egress", `{podSelector: {}, policyTypes: [Egress]}`},
			{"allow all ingress", `{podSelector: {}, ingress: [{}]}`},
			{"empty lists of peers and ports are everyone and everything", `{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [], ports: []}], egress: [{to: [], ports: []}]}`},
			{"deny both, one pod", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress, Egress]}`},
			{"pods of this namespace", `{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {matchLabels: {app: b}}}]}]}`},
			{"both selectors of one peer", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: y}}, podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [a]}]}}]}]}`},
			{"either of two peers", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: y}}}, {podSelector: {matchLabels: {app: c}}}]}]}`},
			{"matchExpressions of all kinds", `{podSelector: {matchExpressions: [{key: app, operator: In, values: [a, b]}]}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: Exists}]}, podSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}, {key: app, operator: NotIn, values: [b]}]}}]}]}`},
			{"egress to pods and ports", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 80}, {port: 81, protocol: UDP}]}]}`},
			{"ipBlock with except", `{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.244.0.4/31, 203.0.113.0/29]}}, {ipBlock: {cidr: "::/0", except: ["fd00:10:244::/64"]}}]}], egress: [{to: [{ipBlock: {cidr: 10.244.0.0/16}}, {ipBlock: {cidr: 10.244.0.0/24}}, {ipBlock: {cidr: "2001:db8::8/125"}}]}]}`},
			{"what one block excepts, another allows", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16, except: [10.244.0.0/29, 10.244.1.0/24]}}, {ipBlock: {cidr: 10.244.0.3/32}}]}]}`},
			{"endPort is inclusive", `{podSelector: {}, ingress: [{ports: [{port: 81, endPort: 8080}]}]}`},
			{"endPort of egress, UDP", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80, endPort: 81, protocol: UDP}]}]}`},
			{"SCTP", `{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: 80, endPort: 81, protocol: SCTP}]}], egress: [{ports: [{protocol: SCTP}]}]}`},
			{"SCTP to pods alone", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{port: 81, protocol: SCTP}, {port: sctp, protocol: SCTP}]}]}`},
			{"many ports", `{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 8080}, {port: 81}, {port: 9000, endPort: 9999}, {protocol: UDP}]}]}`},
			{"named ports, ingress", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: web}, {port: dns, protocol: UDP}, {port: sctp, protocol: SCTP}]}]}`},
			{"named ports, egress", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: web}]}, {to: [{podSelector: {}}], ports: [{port: dns, protocol: UDP}]}]}`},
			{"named ports need their protocol", `{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: dns}]}], egress: [{ports: [{port: web, protocol: UDP}]}]}`},
			{"unreadable peer", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: nonsense}}, {podSelector: {matchLabels: {app: b}}}]}]}`},
			{"unreadable selector", `{podSelector: {matchExpressions: [{key: app, operator: Nonsense}]}, ingress: [{}]}`},
		} {
			t.Run(test.name, func(t *testing.T) {
				snapshot := l.Shop()
				if test.policy != "" {
					snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", test.policy)}
				}
				l.Load(t, snapshot, uint16(i+1))
				l.check(t, snapshot, probePorts)
			})
		}
	})
}

// Which pods have which addresses decides about everything else.
func TestAddresses(t *testing.T) {
	eachWiring(t, func(t *testing.T, l labNode) {
		l.Listen(t, probePorts)
		const fromB = `{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {matchLabels: {app: b}}}]}], egress: [{to: [{podSelector: {}}]}]}`
		for i, test := range []struct {
			name   string
			change func(*reach.Snapshot)
		}{
			{"pods of one family each", func(s *reach.Snapshot) {
				for i, p := range s.Pods {
					p.Status.PodIPs = p.Status.PodIPs[i%2 : i%2+1]
					p.Status.PodIP = p.Status.PodIPs[0].IP
				}
			}},
			{"podIP alone counts", func(s *reach.Snapshot) {
				for _, p := range s.Pods {
					p.Status.PodIPs = nil
				}
			}},
			{"the other order of families", func(s *reach.Snapshot) {
				for _, p := range s.Pods {
					slices.Reverse(p.Status.PodIPs)
					p.Status.PodIP = p.Status.PodIPs[0].IP
				}
			}},
			{"a pod takes over the address of one that has finished", func(s *reach.Snapshot) {
				old := s.Pods[1].DeepCopy() // labelled b, which is let in
				old.Name, old.Status.Phase = "old", corev1.PodSucceeded
				old.Status.PodIP, old.Status.PodIPs = s.Pods[2].Status.PodIP, s.Pods[2].Status.PodIPs
				s.Pods = append(s.Pods, old)
			}},
			{"a finished pod loses its address", func(s *reach.Snapshot) { s.Pods[1].Status.Phase = corev1.PodFailed }},
			{"a pod that is being removed loses its address, one that is still ending keeps it", func(s *reach.Snapshot) {
				for i, grace := range []int64{0, 30} {
					s.Pods[i].DeletionTimestamp, s.Pods[i].DeletionGracePeriodSeconds = &metav1.Time{}, &grace
				}
			}},
			{"a pod on its node's network is no target", func(s *reach.Snapshot) { hostNetwork(s.Pods[0], lab.Uplink4, lab.Uplink6) }},
			{"a pod on another node's network is no peer", func(s *reach.Snapshot) {
				p := s.Pods[1].DeepCopy()
				p.Name, p.Spec.NodeName = "agent", "node-1"
				hostNetwork(p, lab.Other4, lab.Other6)
				s.Pods = append(s.Pods, p)
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				snapshot := l.Shop()
				test.change(&snapshot)
				snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", fromB)}
				l.Load(t, snapshot, uint16(i+1))
				l.check(t, snapshot, probePorts)
			})
		}
	})
}

// hostNetwork moves a pod to its node's network, whose addresses these are.
func hostNetwork(p *corev1.Pod, v4, v6 netip.Addr) {
	p.Spec.HostNetwork = true
	p.Status.PodIP = v4.String()
	p.Status.PodIPs = []corev1.PodIP{{IP: v4.String()}, {IP: v6.String()}}
}
