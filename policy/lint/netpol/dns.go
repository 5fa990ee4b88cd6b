package netpol

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// DNSMissing reports where pods may open connections but cannot resolve names.
var DNSMissing = register(check.Check{
	ID: "dns-missing", Severity: check.Warn, About: check.OfPolicies,
	Title: "Egress without DNS",
	Text: `A pod whose egress is isolated cannot resolve names unless some policy allows it, and clients reach nearly
everything by name. All policies that select the pod are considered together. If the pods are not in the input, more
policies may select them, and the finding is a note. Pods that may connect to nothing, or only to single addresses,
need no names.`,
})

func init() { runs[DNSMissing] = checkDNSReached }

// DNSUDPOnly reports where DNS is allowed over UDP and not over TCP.
var DNSUDPOnly = register(check.Check{
	ID: "dns-udp-only", Severity: check.Warn, About: check.OfPolicies,
	Title: "DNS over UDP only",
	Text: `Answers that are too long for one packet, and retries, use TCP (RFC 7766). Without TCP, resolving fails for some
names and at some times, which is hard to debug.`,
})

// dnsFix is the rule that works in nearly every cluster.
const dnsFix = "add an egress rule to namespaceSelector {kubernetes.io/metadata.name: kube-system} and podSelector {k8s-app: kube-dns} " +
	"in one list item, on UDP 53 and TCP 53"

// checkDNSReached finds pods that may open connections, but cannot resolve names.
func checkDNSReached(r *check.Report, v *view) {
	if !v.Known.Policies || len(v.Policy.Spec.Egress) == 0 || !v.Policy.Isolates(egress) {
		return
	}
	servers := v.dnsServers()
	subjects := v.Subjects()
	if len(subjects) == 0 {
		v.checkDNSOf(r, servers, nil, v.perhapsUnion())
	}
	seen := map[world.Membership]bool{}
	for _, pod := range subjects {
		if pod.Spec.DNSPolicy != "" && pod.Spec.DNSPolicy != corev1.DNSClusterFirst {
			continue // it asks its own servers, which are not known
		}
		if as := v.Membership(pod); seen[as] {
			continue // a pod under the same policies was judged
		} else {
			seen[as] = true
		}
		policies, _ := v.Union(pod, egress)
		if !v.Work.Spend(rulesIn(policies, egress)) {
			return
		}
		if v.checkDNSOf(r, servers, pod, world.ClausesOf(policies, egress)) {
			return // one example is enough
		}
	}
}

// checkDNSOf judges all that a pod is allowed; nil is any pod that is selected.
func (v *view) checkDNSOf(r *check.Report, servers dnsServers, pod *world.Pod, clauses []connset.Clause) bool {
	who := "the pods that it selects"
	if pod != nil {
		who = words.Pod(pod)
	}
	switch udp, tcp := reachesDNS(clauses, servers, corev1.ProtocolUDP), reachesDNS(clauses, servers, corev1.ProtocolTCP); {
	case !udp && !tcp && needsNames(clauses):
		why := "all policies together do not allow port 53"
		if !v.Whole {
			why = "no policy of the input allows port 53"
		}
		if slices.ContainsFunc(clauses, func(clause connset.Clause) bool { return isForDNS(clause, corev1.ProtocolUDP) }) {
			why = "port 53 is allowed, but to no pod of the cluster's DNS"
		}
		severity := check.Warn
		if !v.KnowsPolicies() {
			severity = check.Note // a policy outside the input may allow it
		}
		r.Add(DNSMissing, severity, rulesPath(egress), dnsFix, "%s may open connections but cannot resolve names: %s", who, why)
	case udp && !tcp && reachesDNS(v.Policy.Clauses(egress), servers, corev1.ProtocolUDP):
		r.Find(DNSUDPOnly, rulesPath(egress), "add protocol: TCP, port: 53 beside UDP",
			"%s may ask DNS over UDP only: long answers, and retries, use TCP (RFC 7766)", who)
	default:
		return false
	}
	return true
}

// needsNames says whether clauses allow peers that clients commonly reach by name: connections to single addresses need
// no names.
func needsNames(clauses []connset.Clause) bool {
	return slices.ContainsFunc(clauses, func(clause connset.Clause) bool {
		peer := world.PeerOf(egress, clause)
		return peer == nil || peer.IPBlock == nil || !isSingle(peer.IPBlock)
	})
}

func isSingle(block *networkingv1.IPBlock) bool {
	cidr, err := kube.ParseCIDR(block.CIDR)
	return err == nil && cidr.IsSingleIP()
}
