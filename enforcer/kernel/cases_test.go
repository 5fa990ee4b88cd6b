package kernel

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/reach"
)

// shop puts the local and remote pods into two namespaces: three local pods each, and labels
// app=0, app=1 and so on.
func (l *lab) shop() reach.Snapshot {
	s := reach.Snapshot{
		Nodes:      l.nodes(),
		Namespaces: []*corev1.Namespace{namespace("x", map[string]string{"ns": "x"}), namespace("y", map[string]string{"ns": "y"})},
	}
	count := map[kind]int{}
	for _, h := range l.hosts {
		i := count[h.kind]
		if count[h.kind]++; h.kind == localPod && i >= 6 || h.kind == remotePod && i >= 3 || h.kind > remotePod {
			continue
		}
		p := pod(h, []string{"x", "y"}[i/3], map[string]string{"app": string(rune('a' + i%3))})
		p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{
			{Name: "web", ContainerPort: []int32{80, 8080}[i%2]},
			{Name: "dns", ContainerPort: 81, Protocol: corev1.ProtocolUDP},
		}}}
		s.Pods = append(s.Pods, p)
	}
	return s
}

func parsePolicy(t testing.TB, name, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatal(err)
	}
	return p
}

var probePorts = []uint16{80, 81, 8080}

func TestKernelAgreesWithReach(t *testing.T) {
	l := newLab(t)
	l.listen(t, probePorts)
	for i, test := range []struct{ name, policy string }{
		{"nothing is isolated", ``},
		{"deny all ingress", `{podSelector: {}}`},
		{"deny all egress", `{podSelector: {}, policyTypes: [Egress]}`},
		{"allow all ingress", `{podSelector: {}, ingress: [{}]}`},
		{"deny both, one pod", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress, Egress]}`},
		{"pods of this namespace", `{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {matchLabels: {app: b}}}]}]}`},
		{"both selectors of one peer", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: y}}, podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [a]}]}}]}]}`},
		{"either of two peers", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: y}}}, {podSelector: {matchLabels: {app: c}}}]}]}`},
		{"egress to pods and ports", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 80}, {port: 81, protocol: UDP}]}]}`},
		{"ipBlock with except", `{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.244.0.4/31, 203.0.113.0/29]}}, {ipBlock: {cidr: "::/0", except: ["fd00:10:244::/64"]}}]}], egress: [{to: [{ipBlock: {cidr: 10.244.0.0/16}}, {ipBlock: {cidr: 10.244.0.0/24}}, {ipBlock: {cidr: "2001:db8::8/125"}}]}]}`},
		{"a range of ports", `{podSelector: {}, ingress: [{ports: [{port: 81, endPort: 8080}]}]}`},
		{"many ports", `{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 8080}, {port: 81}, {port: 9000, endPort: 9999}, {protocol: UDP}]}]}`},
		{"named ports, ingress", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: web}, {port: dns, protocol: UDP}]}]}`},
		{"named ports, egress", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: web}]}, {to: [{podSelector: {}}], ports: [{port: dns, protocol: UDP}]}]}`},
		{"unreadable peer", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: nonsense}}, {podSelector: {matchLabels: {app: b}}}]}]}`},
		{"unreadable selector", `{podSelector: {matchExpressions: [{key: app, operator: Nonsense}]}, ingress: [{}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			snapshot := l.shop()
			if test.policy != "" {
				snapshot.Policies = []*networkingv1.NetworkPolicy{parsePolicy(t, "p", test.policy)}
			}
			l.load(t, snapshot, uint16(i+1))
			l.check(t, snapshot, probePorts)
		})
	}
}
