package lint

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// DNSMissing is found where pods may open connections but cannot resolve names.
const DNSMissing ID = "dns-missing"

func init() {
	register(Check{
		ID: DNSMissing, Severity: Warn, About: ofPolicies,
		Title: "Egress without DNS",
		Text: `A pod whose egress is isolated resolves no names unless some policy allows it to, and nearly everything is
reached by name. All policies that select the pod are considered together; where the pods are not given, there may be
more, and it is no more than a note. Pods that may connect to nothing, or
to single addresses only, need no names.`,
		Policy: checkDNSReached,
	})
}

// DNSUDPOnly is found where DNS is allowed over UDP and not over TCP.
const DNSUDPOnly ID = "dns-udp-only"

func init() {
	register(Check{
		ID: DNSUDPOnly, Severity: Warn, About: ofPolicies,
		Title: "DNS over UDP only",
		Text: `Answers that are too long for one packet, and retries, use TCP (RFC 7766). Without it resolving fails for some
names and at some times, which is hard to find.`,
	})
}

// dnsFix is the rule that works in nearly every cluster.
const dnsFix = "add an egress rule to namespaceSelector {kubernetes.io/metadata.name: kube-system} and podSelector {k8s-app: kube-dns} in one list item, on UDP 53 and TCP 53"

// dnsServers are where a cluster's names are resolved. Which pods that are may not be known.
type dnsServers struct {
	pods      []*knownPod
	addresses []netip.Addr
	// namespaces are those in which they may be.
	namespaces []string
}

// checkDNSReached finds pods that may open connections, but cannot resolve names.
func checkDNSReached(r *report, v *view) {
	if !v.known.Policies || len(v.policy.Spec.Egress) == 0 || !v.policy.isolates(egress) {
		return
	}
	servers := v.dnsServers()
	subjects := v.subjects()
	if len(subjects) == 0 {
		v.checkDNSOf(r, servers, nil, v.perhapsUnion())
	}
	seen := map[memberOf]bool{}
	for _, pod := range subjects {
		if pod.Spec.DNSPolicy != "" && pod.Spec.DNSPolicy != corev1.DNSClusterFirst {
			continue // it asks others, which only it knows
		}
		if as := v.membership(pod); seen[as] {
			continue // the same policies were enough for another
		} else {
			seen[as] = true
		}
		policies, _ := v.union(pod, egress)
		if !v.work.spend(rulesIn(policies, egress)) {
			return
		}
		if v.checkDNSOf(r, servers, pod, clausesOf(policies, egress)) {
			return // one example is enough
		}
	}
}

// perhapsUnion is what may be allowed to pods that the policy selects, at most: a policy counts that
// could select one of them.
func (v *view) perhapsUnion() []connset.Clause {
	policies := where(v.others(), func(other *knownPolicy) bool { return other.selected.Overlaps(v.policy.selected) })
	return clausesOf(slices.Insert(policies, 0, v.policy), egress)
}

// checkDNSOf judges what a pod, or nil for any that is selected, is allowed altogether.
func (v *view) checkDNSOf(r *report, servers dnsServers, pod *knownPod, clauses []connset.Clause) bool {
	who := "the pods that it selects"
	if pod != nil {
		who = podWords(pod)
	}
	switch udp, tcp := reachesDNS(clauses, servers, corev1.ProtocolUDP), reachesDNS(clauses, servers, corev1.ProtocolTCP); {
	case !udp && !tcp && needsNames(clauses):
		why := "all policies together do not allow port 53"
		if !v.whole {
			why = "no policy that is given allows port 53"
		}
		if slices.ContainsFunc(clauses, func(clause connset.Clause) bool { return isForDNS(clause, corev1.ProtocolUDP) }) {
			why = "port 53 is allowed, but to no pod of the cluster's DNS"
		}
		severity := Warn
		if !v.knowsPolicies() {
			severity = Note // another policy, which is not given, may allow it
		}
		r.add(DNSMissing, severity, rulesPath(egress), dnsFix, "%s may open connections but cannot resolve names: %s", who, why)
	case udp && !tcp && reachesDNS(v.policy.egress, servers, corev1.ProtocolUDP):
		r.find(DNSUDPOnly, rulesPath(egress), "add protocol: TCP, port: 53 beside UDP",
			"%s may ask DNS over UDP only: long answers, and retries, use TCP (RFC 7766)", who)
	default:
		return false
	}
	return true
}

// needsNames says whether anything is allowed that is commonly reached by name: who connects to
// nothing, or to single addresses, needs none.
func needsNames(clauses []connset.Clause) bool {
	return slices.ContainsFunc(clauses, func(clause connset.Clause) bool {
		peer := peerOf(egress, clause)
		return peer == nil || peer.IPBlock == nil || !isSingle(peer.IPBlock)
	})
}

func isSingle(block *networkingv1.IPBlock) bool {
	cidr, err := kube.ParseCIDR(block.CIDR)
	return err == nil && cidr.IsSingleIP()
}

// isDNS says whether a Service is the cluster's DNS: by the label that all carry, by a name that only it
// has, or since somebody said so.
func (x *Index) isDNS(service *corev1.Service) bool {
	name := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	return service.Labels["k8s-app"] == "kube-dns" || name == x.dnsService ||
		slices.Contains([]types.NamespacedName{{Namespace: "kube-system", Name: "kube-dns"}, {Namespace: "openshift-dns", Name: "dns-default"}}, name)
}

// dnsServers returns the cluster's, as its Services say.
func (v *view) dnsServers() dnsServers {
	servers := dnsServers{namespaces: []string{metav1.NamespaceSystem, "openshift-dns"}}
	if v.dnsService.Namespace != "" {
		servers.namespaces = append(servers.namespaces, v.dnsService.Namespace)
	}
	for _, service := range v.dns {
		servers.namespaces = append(servers.namespaces, service.Namespace)
	}
	for _, service := range v.dns {
		if !v.whole || !v.known.Services || len(service.Spec.Selector) == 0 {
			continue
		}
		servers.pods = append(servers.pods, where(v.at(service.Namespace).pods, func(pod *knownPod) bool { return kube.Selects(service, pod.Pod) })...)
		for _, text := range service.Spec.ClusterIPs {
			if address, err := netip.ParseAddr(text); err == nil {
				servers.addresses = append(servers.addresses, address)
			}
		}
	}
	if len(servers.pods) == 0 || slices.ContainsFunc(servers.pods, func(pod *knownPod) bool { return pod.Spec.HostNetwork }) {
		return dnsServers{namespaces: servers.namespaces} // who answers is not known, or is a node
	}
	// Beside them: the usual address of the node-local cache.
	servers.addresses = append(servers.addresses, netip.MustParseAddr("169.254.20.10"))
	return servers
}

// anyPort is one that nobody names: a rule that allows it means every port, and not DNS in particular.
const anyPort = 54321

// reachesDNS says whether clauses allow DNS over a protocol, to the servers if they are known, and otherwise to pods
// that may be. Whoever names the port means the servers, wherever they are.
func reachesDNS(clauses []connset.Clause, servers dnsServers, protocol corev1.Protocol) bool {
	return slices.ContainsFunc(clauses, func(clause connset.Clause) bool {
		if !isForDNS(clause, protocol) {
			return false
		}
		if len(servers.pods) == 0 {
			return servers.mayBePeersOf(clause) || !clause.Box.Ports.Contains(connset.PortOf(protocol, anyPort))
		}
		on53 := clause.Box.Ports.Contains(connset.PortOf(protocol, 53))
		return slices.ContainsFunc(servers.pods, func(pod *knownPod) bool { return isPeer(&clause.Box, pod) }) ||
			slices.ContainsFunc(servers.addresses, func(address netip.Addr) bool {
				return on53 && clause.Box.Kinds&connset.Others != 0 && clause.Box.Addresses.Contains(address)
			})
	})
}

// isForDNS says whether a clause allows a port on which DNS servers listen: OpenShift's is 5353, and one with a name
// may be theirs as well.
func isForDNS(clause connset.Clause, protocol corev1.Protocol) bool {
	return slices.ContainsFunc(clause.Named, func(port connset.NamedPort) bool { return port.Protocol == protocol }) ||
		clause.Box.Ports.Contains(connset.PortOf(protocol, 53)) || clause.Box.Ports.Contains(connset.PortOf(protocol, 5353))
}

// mayBePeersOf says whether DNS servers may be among whom a clause means: not where it names namespaces, or is about
// its own, and DNS is in others.
func (s dnsServers) mayBePeersOf(clause connset.Clause) bool {
	peer := peerOf(egress, clause)
	if peer == nil || peer.IPBlock != nil {
		return true
	}
	named := []string{clause.Policy.Namespace}
	if peer.NamespaceSelector != nil {
		if named = namespacesNamed(peer.NamespaceSelector); len(named) == 0 {
			return true
		}
	}
	return slices.ContainsFunc(named, func(name string) bool { return slices.Contains(s.namespaces, name) })
}

// namespacesNamed are the namespaces that a selector asks for by their names; none if it does not.
func namespacesNamed(selector *metav1.LabelSelector) []string {
	if name, found := selector.MatchLabels[corev1.LabelMetadataName]; found {
		return []string{name}
	}
	for _, requirement := range selector.MatchExpressions {
		if requirement.Key == corev1.LabelMetadataName && requirement.Operator == metav1.LabelSelectorOpIn {
			return requirement.Values
		}
	}
	return nil
}
