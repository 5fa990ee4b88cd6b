package main

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// size is how much a cluster has, and how much of it concerns the node that is measured.
type size struct {
	Name                    string
	Local, Remote, Policies int
	// Crowded has all policies select one pod; else each selects an app of its own.
	Crowded bool
	// Wide is how many more ports each policy has, none of which is any other's.
	Wide int
	// Kinds has the API server know the project's own kinds. Staged has a staged policy like each policy.
	Kinds, Staged bool
}

const (
	nodeName    = "node-0"
	home        = "bench" // the namespace of the pods that packets go between
	podsPerNode = 100
	// appsPerNamespace is how many apps share a namespace; each has a policy.
	appsPerNamespace = 10
)

func appNamespace(app int) string { return fmt.Sprintf("team-%d", app/appsPerNamespace) }
func appName(app int) string      { return fmt.Sprintf("app-%d", app) }

// namespaces are those of the apps.
func (s size) namespaces() []string {
	var names []string
	for app := 0; app < s.Policies; app += appsPerNamespace {
		names = append(names, appNamespace(app))
	}
	return names
}

// policy is the i-th one, with two peers and two ports. Every other one is about egress.
func (s size) policy(i int) *networkingv1.NetworkPolicy {
	namespace, selected := appNamespace(i), appName(i)
	if s.Crowded {
		namespace, selected = home, server
	}
	neighbour := i - i%appsPerNamespace + (i+1)%appsPerNamespace
	peers := []networkingv1.NetworkPolicyPeer{
		{PodSelector: labelled("app", appName(neighbour))},
		{
			NamespaceSelector: labelled(corev1.LabelMetadataName, appNamespace((i+appsPerNamespace)%s.Policies)),
			PodSelector:       labelled("tier", "front"),
		},
	}
	p := policy(namespace, fmt.Sprintf("policy-%d", i), selected, peers, 8080, 20000+i%1000)
	for n := range s.Wide { // every other one, so that they are no range
		p.Spec.Ingress[0].Ports = append(p.Spec.Ingress[0].Ports, port(corev1.ProtocolTCP, 30_000+2*(i*s.Wide+n)))
	}
	if i%2 == 1 && !s.Crowded {
		p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
		p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: peers, Ports: p.Spec.Ingress[0].Ports}}
		p.Spec.Ingress = nil
	}
	return p
}

// policies are all but those of the namespace home.
func (s size) policies() []*networkingv1.NetworkPolicy {
	var policies []*networkingv1.NetworkPolicy
	for i := range s.Policies {
		policies = append(policies, s.policy(i))
	}
	return policies
}

// pods are all but those of the namespace home.
func (s size) pods() []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range s.Local {
		pods = append(pods, s.pod(i*s.Policies/s.Local, fmt.Sprintf("local-%d", i), nodeName, numbered(podRange.Addr(), 10+i)))
	}
	for i := range s.Remote {
		pods = append(pods, s.pod(i%s.Policies, fmt.Sprintf("remote-%d", i), otherNode(i/podsPerNode), numbered(remoteRange.Addr(), 1+i)))
	}
	return pods
}

func (s size) pod(app int, name, node string, address netip.Addr) *corev1.Pod {
	labels := map[string]string{"app": appName(app), "tier": []string{"front", "back"}[app%2]}
	return pod(appNamespace(app), name, node, labels, address)
}

func otherNode(i int) string { return fmt.Sprintf("node-%d", 1+i) }

// nodes are this one, and those that the remote pods are on.
func (s size) nodes() []*corev1.Node {
	nodes := []*corev1.Node{node(nodeName, podRange, uplink)}
	for i := range (s.Remote + podsPerNode - 1) / podsPerNode {
		// Their ranges and addresses do not matter here.
		nodes = append(nodes, node(otherNode(i), netip.Prefix{}, numbered(netip.MustParseAddr("192.168.1.0"), i)))
	}
	return nodes
}

func node(name string, pods netip.Prefix, address netip.Addr) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if pods.IsValid() {
		n.Spec.PodCIDR, n.Spec.PodCIDRs = pods.String(), []string{pods.String()}
	}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address.String()}}
	return n
}

// pod is as the scheduler and the kubelet would leave it: nothing runs here.
func pod(namespace, name, node string, labels map[string]string, address netip.Addr) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name: "main", Image: "example.com/main",
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: probePort}},
		}}},
	}
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: address.String(), PodIPs: []corev1.PodIP{{IP: address.String()}},
	}
	return p
}

// policy lets peers connect to the pods of an app, at two ports over UDP and TCP.
func policy(namespace, name, app string, peers []networkingv1.NetworkPolicyPeer, udp, tcp int) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *labelled("app", app),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  peers,
				Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, udp), port(corev1.ProtocolTCP, tcp)},
			}},
		},
	}
}

// homePolicy lets two apps connect to another, all of the namespace home.
func homePolicy(name, app string, from ...string) *networkingv1.NetworkPolicy {
	var peers []networkingv1.NetworkPolicyPeer
	for i, peer := range from {
		p := networkingv1.NetworkPolicyPeer{PodSelector: labelled("app", peer)}
		if i%2 == 1 {
			p.NamespaceSelector = labelled(corev1.LabelMetadataName, home)
		}
		peers = append(peers, p)
	}
	return policy(home, name, app, peers, probePort, probePort)
}

func port(protocol corev1.Protocol, number int) networkingv1.NetworkPolicyPort {
	n := intstr.FromInt(number)
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &n}
}

func labelled(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

// numbered is the i-th address after one.
func numbered(first netip.Addr, i int) netip.Addr {
	a := first.As4()
	n := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	n += uint32(i)
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
