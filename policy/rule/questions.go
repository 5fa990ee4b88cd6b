package rule

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Questions are all that some policies ask of the two ends of a connection and of its port: nothing else can make them
// treat two connections differently.
type Questions struct {
	// Subjects and Peers are keys of labels of pods, at the policies' own end and at the other, and Namespaces keys of
	// labels of the namespaces at the other end.
	Subjects, Peers, Namespaces map[string]bool
	// Within are the namespaces that are meant by name.
	Within map[string]bool
	// Names are those of ports.
	Names map[string]bool
	// Blocks are the ranges of addresses that are meant or left out, each once.
	Blocks []netip.Prefix
	// Edges are the ports, sorted, at which a range begins, and the first after one has ended; 1 to LastPort.
	Edges map[corev1.Protocol][]int32
}

// Ask returns the questions of some policies.
func Ask(policies ...*Policy) Questions {
	q := Questions{
		Subjects: map[string]bool{}, Peers: map[string]bool{}, Namespaces: map[string]bool{}, Within: map[string]bool{},
		Names: map[string]bool{}, Edges: map[corev1.Protocol][]int32{},
	}
	blocks := map[netip.Prefix]bool{}
	for _, p := range policies {
		q.Within[p.Subject.Namespace] = true
		note(q.Subjects, p.Subject.Labels)
		for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
			for _, r := range p.Rules(direction) {
				q.addPeers(r.Peers, blocks)
				q.addPorts(r.Ports)
			}
		}
	}
	for protocol, edges := range q.Edges {
		slices.Sort(edges)
		q.Edges[protocol] = slices.Compact(edges)
	}
	return q
}

func (q *Questions) addPeers(peers Peers, known map[netip.Prefix]bool) {
	for _, peer := range peers.Of {
		note(q.Peers, peer.Pods.Labels)
		note(q.Namespaces, peer.Pods.Namespaces)
		if peer.Pods.Labels != nil && peer.Pods.Namespaces == nil {
			q.Within[peer.Pods.Namespace] = true
		}
		if !peer.Block.CIDR.IsValid() {
			continue
		}
		for _, block := range append([]netip.Prefix{peer.Block.CIDR}, peer.Block.Except...) {
			if !known[block] {
				known[block] = true
				q.Blocks = append(q.Blocks, block)
			}
		}
	}
}

func (q *Questions) addPorts(ports Ports) {
	for _, port := range ports.Of {
		switch {
		case port.Name != "":
			q.Names[port.Name] = true
		case port.Protocol != "":
			q.Edges[port.Protocol] = append(q.Edges[port.Protocol], port.First)
			if port.Last < LastPort {
				q.Edges[port.Protocol] = append(q.Edges[port.Protocol], port.Last+1)
			}
		}
	}
}

// note notes the keys that a selector asks for.
func note(keys map[string]bool, selector labels.Selector) {
	if selector == nil {
		return
	}
	requirements, _ := selector.Requirements()
	for _, requirement := range requirements {
		keys[requirement.Key()] = true
	}
}
