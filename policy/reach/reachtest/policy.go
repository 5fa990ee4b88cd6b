package reachtest

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
)

// blocks are nested on purpose: any of them may be an exception to a wider one.
var blocks = []string{
	"0.0.0.0/0", "10.0.0.0/8", "10.244.0.0/16", "10.244.0.0/24", "10.244.1.0/24", "10.244.0.2/31",
	"10.244.0.2/32", "10.244.1.3/32", "192.168.0.0/24", "192.168.0.10/32", "203.0.113.0/24", "203.0.113.8/29",
	"::/0", "fd00::/8", "fd00:10:244::/48", "fd00:10:244::/64", "fd00:10:244:1::/64", "fd00:10:244::2/127",
	"fd00:10:244:1::3/128", "fd00:192::/64", "2001:db8::/32", "2001:db8::8/125",
}

var (
	protocols   = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
	portNumbers = []int32{80, 53, 81, 8080}
	portNames   = []string{"http", "dns", "metrics"}
)

// Policy generates a NetworkPolicy of this name, in one of the namespaces that [Snapshot] uses.
func Policy(name string) *rapid.Generator[*networkingv1.NetworkPolicy] {
	return rapid.Custom(func(t *rapid.T) *networkingv1.NetworkPolicy {
		np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
			Namespace: rapid.SampledFrom(namespaceNames).Draw(t, "policy namespace"),
			Name:      name,
		}}
		np.Spec = networkingv1.NetworkPolicySpec{
			PodSelector: subject(t),
			PolicyTypes: rapid.SampledFrom([][]networkingv1.PolicyType{
				nil,
				{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
				{networkingv1.PolicyTypeIngress},
				{networkingv1.PolicyTypeEgress},
			}).Draw(t, "policy types"),
			Ingress: rapid.SliceOfN(IngressRule(), 0, 2).Draw(t, "ingress"),
			Egress:  rapid.SliceOfN(EgressRule(), 0, 2).Draw(t, "egress"),
		}
		return np
	})
}

// IngressRule generates a rule for use in any policy.
func IngressRule() *rapid.Generator[networkingv1.NetworkPolicyIngressRule] {
	return rapid.Custom(func(t *rapid.T) networkingv1.NetworkPolicyIngressRule {
		return networkingv1.NetworkPolicyIngressRule{From: peers(t), Ports: ports(t)}
	})
}

// EgressRule generates a rule for use in any policy.
func EgressRule() *rapid.Generator[networkingv1.NetworkPolicyEgressRule] {
	return rapid.Custom(func(t *rapid.T) networkingv1.NetworkPolicyEgressRule {
		return networkingv1.NetworkPolicyEgressRule{To: peers(t), Ports: ports(t)}
	})
}

func peers(t *rapid.T) []networkingv1.NetworkPolicyPeer {
	most := 2
	if rarely(t, "many peers") {
		most = 8 // which are looked up together, and of which some include others
	}
	return rapid.SliceOfN(rapid.Custom(peer), 0, most).Draw(t, "peers")
}

func peer(t *rapid.T) networkingv1.NetworkPolicyPeer {
	switch rapid.IntRange(0, 3).Draw(t, "kind of peer") {
	case 0:
		return networkingv1.NetworkPolicyPeer{PodSelector: podSelector(t)}
	case 1:
		return networkingv1.NetworkPolicyPeer{NamespaceSelector: namespaceSelector(t)}
	case 2:
		return networkingv1.NetworkPolicyPeer{PodSelector: podSelector(t), NamespaceSelector: namespaceSelector(t)}
	default:
		return networkingv1.NetworkPolicyPeer{IPBlock: ipBlock(t)}
	}
}

// ipBlock draws a block and exceptions strictly inside it, as validation demands.
func ipBlock(t *rapid.T) *networkingv1.IPBlock {
	cidr := netip.MustParsePrefix(rapid.SampledFrom(blocks).Draw(t, "cidr"))
	block := &networkingv1.IPBlock{CIDR: written(t, cidr)}
	var inside []string
	for _, text := range blocks {
		if p := netip.MustParsePrefix(text); p.Bits() > cidr.Bits() && cidr.Contains(p.Addr()) {
			inside = append(inside, text)
		}
	}
	if len(inside) > 0 {
		block.Except = rapid.SliceOfNDistinct(rapid.SampledFrom(inside), 0, min(2, len(inside)), rapid.ID[string]).
			Draw(t, "except")
	}
	for i, text := range block.Except {
		block.Except[i] = written(t, netip.MustParsePrefix(text))
	}
	return block
}

// written writes a range, now and then in a form that the API server took before Kubernetes 1.36: what was
// stored so stays (KEP-4858).
func written(t *rapid.T, cidr netip.Prefix) string {
	if !rarely(t, "old form of a range") {
		return cidr.String()
	}
	address := cidr.Addr()
	if rapid.Bool().Draw(t, "bits beyond the prefix") && !cidr.IsSingleIP() {
		address = address.Next()
	}
	if address.Is4() && rapid.Bool().Draw(t, "as IPv6") {
		return netip.PrefixFrom(netip.AddrFrom16(address.As16()), cidr.Bits()+96).String()
	}
	return netip.PrefixFrom(address, cidr.Bits()).String()
}

// subject draws a selector for the pods of a policy: all of the namespace as often as not.
func subject(t *rapid.T) metav1.LabelSelector {
	if rapid.Bool().Draw(t, "all pods") {
		return metav1.LabelSelector{}
	}
	return *podSelector(t)
}

func podSelector(t *rapid.T) *metav1.LabelSelector {
	key := rapid.SampledFrom(labelKeys).Draw(t, "label")
	return selector(t, key, labelValues[key])
}

func namespaceSelector(t *rapid.T) *metav1.LabelSelector {
	if rapid.Bool().Draw(t, "by name") {
		return selector(t, corev1.LabelMetadataName, namespaceNames)
	}
	return selector(t, "team", namespaceTeams)
}

// selector draws every kind of condition on one label, or none at all.
func selector(t *rapid.T, key string, values []string) *metav1.LabelSelector {
	where := func(operator metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: key, Operator: operator, Values: values},
		}}
	}
	some := func() []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(values), 1, 2, rapid.ID[string]).Draw(t, "values")
	}
	switch rapid.IntRange(0, 7).Draw(t, "kind of selector") {
	case 0:
		return &metav1.LabelSelector{}
	case 1:
		return where(metav1.LabelSelectorOpIn, some()...)
	case 2:
		return where(metav1.LabelSelectorOpNotIn, some()...)
	case 3:
		return where(metav1.LabelSelectorOpExists)
	case 4:
		return where(metav1.LabelSelectorOpDoesNotExist)
	default:
		return &metav1.LabelSelector{MatchLabels: map[string]string{key: rapid.SampledFrom(values).Draw(t, "value")}}
	}
}

func ports(t *rapid.T) []networkingv1.NetworkPolicyPort {
	if rarely(t, "many ports") {
		return manyPorts(t)
	}
	return rapid.SliceOfN(rapid.Custom(port), 0, 2).Draw(t, "ports")
}

// manyPorts draws dozens of ports and of ranges that overlap, touch, nest and go up to the last port, of
// one protocol.
func manyPorts(t *rapid.T) []networkingv1.NetworkPolicyPort {
	protocol := rapid.SampledFrom(protocols).Draw(t, "protocol")
	var out []networkingv1.NetworkPolicyPort
	for range rapid.IntRange(1, 40).Draw(t, "how many ports") {
		first := rapid.Int32Range(50, 90).Draw(t, "first port")
		p := networkingv1.NetworkPolicyPort{Protocol: ptr.To(protocol), Port: ptr.To(intstr.FromInt32(first))}
		switch rapid.IntRange(0, 9).Draw(t, "kind of range") {
		case 0:
			p.EndPort = ptr.To(rapid.SampledFrom([]int32{first, 100, 9000, 65534, 65535}).Draw(t, "last port"))
		case 1, 2:
			p.EndPort = ptr.To(first + rapid.Int32Range(0, 9).Draw(t, "width"))
		}
		out = append(out, p)
	}
	return out
}

func port(t *rapid.T) networkingv1.NetworkPolicyPort {
	var p networkingv1.NetworkPolicyPort
	if rapid.Bool().Draw(t, "has protocol") {
		p.Protocol = ptr.To(rapid.SampledFrom(protocols).Draw(t, "protocol"))
	}
	number := rapid.SampledFrom(portNumbers).Draw(t, "port")
	switch rapid.IntRange(0, 4).Draw(t, "kind of port") {
	case 0:
	case 1:
		p.Port = ptr.To(intstr.FromString(rapid.SampledFrom(portNames).Draw(t, "name")))
	case 2:
		p.Port = ptr.To(intstr.FromInt32(number))
		p.EndPort = ptr.To(number + rapid.Int32Range(0, 9).Draw(t, "width"))
	default:
		p.Port = ptr.To(intstr.FromInt32(number))
	}
	return p
}

// containerPorts draws ports whose names are unique, as validation demands of one container.
func containerPorts(t *rapid.T) []corev1.ContainerPort {
	var declared []corev1.ContainerPort
	for _, name := range portNames {
		if !rapid.Bool().Draw(t, "declares "+name) {
			continue
		}
		declared = append(declared, corev1.ContainerPort{
			Name:          name,
			ContainerPort: rapid.SampledFrom(portNumbers).Draw(t, "container port"),
			Protocol:      rapid.SampledFrom(protocols).Draw(t, "container protocol"),
		})
	}
	return declared
}

// initContainers draws none, a sidecar, or an init container that ends before the pod runs.
func initContainers(t *rapid.T) []corev1.Container {
	c := corev1.Container{Name: "init", Image: "init"}
	switch rapid.IntRange(0, 3).Draw(t, "init container") {
	case 0:
		c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	case 1:
	default:
		return nil
	}
	c.Ports = containerPorts(t)
	return []corev1.Container{c}
}
