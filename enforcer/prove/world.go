package prove

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/rule"
)

// world is what a node derives from a snapshot, without the policies.
type world struct {
	node string
	// claimants are the names of the pods with an address in their status. own are the node's addresses, and ranges are
	// the ranges of its pods' addresses.
	claimants map[netip.Addr][]*corev1.Pod
	own       map[netip.Addr]bool
	ranges    []netip.Prefix
}

func worldOf(snapshot reach.Snapshot, node string) world {
	w := world{node: node, claimants: map[netip.Addr][]*corev1.Pod{}, own: map[netip.Addr]bool{}}
	for _, n := range snapshot.Nodes {
		if n.Name != node {
			continue
		}
		for _, text := range append([]string{n.Spec.PodCIDR}, n.Spec.PodCIDRs...) {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				w.ranges = append(w.ranges, prefix.Masked())
			}
		}
	}
	for _, pod := range snapshot.Pods {
		if pod.Spec.HostNetwork || reach.Finished(pod) {
			continue
		}
		for _, a := range addressesOf(pod) {
			w.claimants[a] = append(w.claimants[a], pod)
		}
	}
	for _, pods := range w.claimants {
		slices.SortFunc(pods, func(a, b *corev1.Pod) int { return compareNames(kube.NameOf(a), kube.NameOf(b)) })
	}
	for _, n := range snapshot.Nodes {
		for _, address := range n.Status.Addresses {
			if a, err := netip.ParseAddr(address.Address); err == nil && n.Name == node && !w.isPods(a.Unmap()) {
				w.own[a.Unmap()] = true
			}
		}
	}
	return w
}

func addressesOf(pod *corev1.Pod) []netip.Addr {
	var out []netip.Addr
	for _, ip := range append([]corev1.PodIP{{IP: pod.Status.PodIP}}, pod.Status.PodIPs...) {
		if a, err := netip.ParseAddr(ip.IP); err == nil && !slices.Contains(out, a.Unmap().WithZone("")) {
			out = append(out, a.Unmap().WithZone(""))
		}
	}
	return out
}

// isPods says whether an address is in a range of the node's pods.
func (w world) isPods(a netip.Addr) bool {
	return slices.ContainsFunc(w.ranges, func(p netip.Prefix) bool { return p.Contains(a) })
}

// isHere says whether a pod of the node holds an address.
func (w world) isHere(a netip.Addr) bool {
	return slices.ContainsFunc(w.claimants[a], func(p *corev1.Pod) bool { return p.Spec.NodeName == w.node })
}

// isForwarded says whether this node forwards packets between two addresses, as a router may. It does not forward its own
// packets: what the node itself sends and receives is not judged.
func (w world) isForwarded(from, to netip.Addr) bool {
	return isRouted(from) && isRouted(to) && !w.own[from] && !w.own[to]
}

// isRouted says whether routers forward packets to and from an address: RFC 1812, section 5.3.7; RFC 4291, section 2.5.
// No packet has an IPv4-mapped address.
func isRouted(a netip.Addr) bool {
	switch {
	case a.IsLoopback(), a.IsMulticast(), a.IsUnspecified(), a.Is4In6():
		return false
	case a.Is4():
		return a.As4()[0] != 0 && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
	default:
		return !a.IsLinkLocalUnicast()
	}
}

// expected is the verdict that this node must enforce: the policies of pods elsewhere are for their own nodes, and an
// address of its ranges without a pod is closed.
func (w world) expected(policies *reach.Evaluator, flow reach.Flow) (verdict reach.Verdict, reason string) {
	from, to := flow.Source.Address, flow.Destination.Address
	for _, a := range []netip.Addr{from, to} {
		if w.isPods(a) && len(w.claimants[a]) == 0 {
			return reach.Deny, a.String() + " is in the node's ranges, and no pod is known to have it"
		}
	}
	fromHere, toHere := w.isHere(from), w.isHere(to)
	if !fromHere && !toHere {
		return reach.Allow, "no pod of this node is concerned"
	}
	result := policies.Allowed(flow)
	switch {
	case fromHere && toHere && result.Verdict == result.Egress.Verdict:
		return result.Verdict, result.Egress.Reason
	case fromHere && toHere:
		return result.Verdict, result.Ingress.Reason
	case fromHere:
		return result.Egress.Verdict, result.Egress.Reason
	default:
		return result.Ingress.Verdict, result.Ingress.Reason
	}
}

// expectedStaged is the verdict of the staged policies of the ends on this node about a flow that passes.
func (w world) expectedStaged(policies *reach.Evaluator, flow reach.Flow) (verdict reach.Verdict, reason string) {
	result := policies.Allowed(flow)
	fromHere, toHere := w.isHere(flow.Source.Address), w.isHere(flow.Destination.Address)
	egress, ingress := result.Staged.Egress, result.Staged.Ingress
	switch {
	case !fromHere && !toHere:
		return reach.Allow, "no pod of this node is concerned"
	case !toHere, fromHere && egress.Verdict == reach.Deny:
		return egress.Verdict, egress.Reason
	case !fromHere, egress.Verdict == reach.Allow, ingress.Verdict == reach.Deny:
		return ingress.Verdict, ingress.Reason
	default:
		return egress.Verdict, egress.Reason
	}
}

// index notes what the policies of each pod of the node check.
func (p *proof) index(snapshot reach.Snapshot) {
	byName := map[types.NamespacedName]*networkingv1.NetworkPolicy{}
	for _, policy := range snapshot.Policies {
		byName[kube.NameOf(policy)] = policy
	}
	for _, policy := range snapshot.Staged { // beside the enforced ones, so that both are tried
		staged := kube.NameOf(policy)
		staged.Name += " (staged)"
		byName[staged] = policy
	}
	read := map[types.NamespacedName]*rule.Policy{}
	for a, pods := range p.world.claimants {
		for _, pod := range pods {
			for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				for _, port := range c.Ports {
					p.named[a.String()] = appendSpan(p.named[a.String()], port.ContainerPort, port.ContainerPort)
				}
			}
			if _, done := p.pointsOf[kube.NameOf(pod)]; !done && pod.Spec.NodeName == p.world.node {
				p.pointsOf[kube.NameOf(pod)] = p.pointsOfPod(kube.NameOf(pod), byName, read)
			}
		}
	}
	p.asked = newAsked(snapshot.Namespaces, slices.Collect(maps.Values(read)))
}

// pointsOfPod are the ports at which the verdict of a pod's policies may change. It reads the policies that were not read
// yet.
func (p *proof) pointsOfPod(
	pod types.NamespacedName, policies map[types.NamespacedName]*networkingv1.NetworkPolicy, read map[types.NamespacedName]*rule.Policy,
) []uint16 {
	var isolating []*rule.Policy
	for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
		names, _ := p.policies.Isolating(pod, direction)
		if p.stages {
			names = names[:0:0]
			for name := range policies {
				if name.Namespace == pod.Namespace {
					names = append(names, name)
				}
			}
		}
		for _, name := range names {
			if read[name] == nil {
				policy := reach.Read(policies[name])
				read[name] = &policy
			}
			isolating = append(isolating, read[name])
		}
	}
	var points []uint16
	for _, edges := range rule.Ask(isolating...).Edges {
		for _, edge := range edges {
			points = append(points, uint16(edge))
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// appendSpan appends the first port of a range and the first port after it, if there is one.
func appendSpan(points []uint16, first, last int32) []uint16 {
	for _, point := range []int32{first, last + 1} {
		if point > 0 && point <= 65535 {
			points = append(points, uint16(point))
		}
	}
	return points
}
