package lab

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/reach"
)

// Shop puts the local and remote pods into the namespaces x and y: three local pods each, and labels app=a,
// app=b and app=c. The last two local pods have no objects.
func (l *Lab) Shop() reach.Snapshot {
	s := reach.Snapshot{
		Nodes:      l.Nodes(),
		Namespaces: []*corev1.Namespace{Namespace("x", map[string]string{"ns": "x"}), Namespace("y", map[string]string{"ns": "y"})},
	}
	count := map[Kind]int{}
	for _, h := range l.Hosts {
		i := count[h.Kind]
		if count[h.Kind]++; h.Kind == LocalPod && i >= 6 || h.Kind == RemotePod && i >= 3 || h.Kind > RemotePod {
			continue
		}
		p := Pod(h, []string{"x", "y"}[i/3], map[string]string{"app": string(rune('a' + i%3))})
		p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{
			{Name: "web", ContainerPort: []int32{80, 8080}[i%2]},
			{Name: "dns", ContainerPort: 81, Protocol: corev1.ProtocolUDP},
			{Name: "sctp", ContainerPort: []int32{8080, 81}[i%2], Protocol: corev1.ProtocolSCTP},
		}}}
		s.Pods = append(s.Pods, p)
	}
	return s
}

// Policy makes a policy of the namespace x from the YAML of its spec.
func Policy(t testing.TB, name, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatal(err)
	}
	return p
}

// Pod makes the object of a host, running.
func Pod(h Host, namespace string, labels map[string]string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: h.Name, Labels: labels},
		Spec:       corev1.PodSpec{NodeName: "node-1"},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: h.V4.String(),
			PodIPs: []corev1.PodIP{{IP: h.V4.String()}, {IP: h.V6.String()}},
		},
	}
	if h.Kind == LocalPod {
		p.Spec.NodeName = NodeName
	}
	return p
}

// Namespace makes a namespace's object.
func Namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// Nodes are the objects of the lab's two nodes.
func (l *Lab) Nodes() []*corev1.Node {
	newNode := func(name string, ranges []string, addresses ...string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: ranges[0], PodCIDRs: ranges}}
		for _, a := range addresses {
			n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
		}
		return n
	}
	return []*corev1.Node{
		newNode(NodeName, []string{Range4.String(), Range6.String()}, Uplink4.String(), Uplink6.String()),
		newNode("node-1", []string{"10.244.1.0/24", "fd00:10:244:1::/64"}, Other4.String(), Other6.String()),
	}
}
