package netpol

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// ExcludesNobody reports where another peer includes what a peer excludes.
var ExcludesNobody = register(check.Check{
	ID: "excludes-nobody", Severity: check.Warn, About: check.OfBoth, ByItself: true, Tiers: true,
	Title: "An exclusion that excludes nobody",
	Text: `Peers add up, and so do rules. If one peer excludes something (NotIn, DoesNotExist, except), and another includes
all of the first together with it, nothing is excluded. Ports also add up: beside an entry that is every port of the
protocol, or a rule that allows the same peer every port, named ports restrict nothing.`,
	TierFix: "exclude the same there, or remove one of them",
})

func init() { runs[ExcludesNobody] = checkExclusions }

// checkExclusions finds peers with an exclusion, beside a peer that includes the first one without its exclusion: peers
// add up, so nothing is excluded.
func checkExclusions(r *check.Report, v *view) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		clauses := v.Policy.Clauses(direction)
		checkOpenPorts(r, v, direction)
		checkOpenRules(r, v, direction, clauses)
		for i, clause := range clauses {
			peer := world.PeerOf(direction, clause)
			if peer == nil {
				continue
			}
			whole, what := withoutExclusions(peer)
			if what == "" {
				continue
			}
			if !v.Work.Spend(len(clauses)) {
				return
			}
			all := v.clauseOf(direction, clause, whole)
			for j, other := range clauses {
				if i == j || all == nil || !world.IsWithin([]connset.Box{all.Box}, []connset.Box{other.Box}) || !isNameAllowedBy(clause, other) {
					continue
				}
				r.Find(ExcludesNobody, v.clauseField(direction, clause, ""),
					"remove "+v.clausePlace(direction, other).String()+", or exclude the same there",
					"%s includes all that this peer excludes with %s: peers add up, so nothing is excluded", v.clausePlace(direction, other), what)
				break
			}
		}
	}
}

// checkOpenPorts finds ports of a rule beside an entry that is every port of their protocol.
func checkOpenPorts(r *check.Report, v *view, direction networkingv1.PolicyType) {
	for i, rule := range kube.Rules(v.Policy.NetworkPolicy, direction) {
		ports := v.places.Rule(direction, i).Child("ports")
		for j, every := range rule.Ports {
			protocol := kube.Protocol(ptr.Deref(every.Protocol, ""))
			opened, named := connset.RulePorts([]networkingv1.NetworkPolicyPort{every})
			if len(named) > 0 || !connset.PortRange(protocol, 1, 65535).Minus(opened).IsEmpty() {
				continue
			}
			isNarrower := func(p networkingv1.NetworkPolicyPort) bool {
				return p.Port != nil && p.Port != every.Port && kube.Protocol(ptr.Deref(p.Protocol, "")) == protocol
			}
			if k := slices.IndexFunc(rule.Ports, isNarrower); k >= 0 {
				r.Find(ExcludesNobody, ports.Index(k), "remove "+ports.Index(j).String()+", or this",
					"%s is every port of %s: entries add up, so naming one restricts nothing", ports.Index(j), protocol)
				break
			}
		}
	}
}

// checkOpenRules finds ports of a rule whose peers another rule allows every port. Rules for everyone have a check of
// their own, and a rule for DNS beside others is a habit that does no harm.
func checkOpenRules(r *check.Report, v *view, direction networkingv1.PolicyType, clauses []connset.Clause) {
	isEveryPort := func(c connset.Clause) bool { return connset.AllPorts().Minus(c.Box.Ports).IsEmpty() }
	open := world.Where(clauses, func(c connset.Clause) bool { return c.Peer >= 0 && isEveryPort(c) })
	for _, clause := range clauses {
		isForDNS := clause.Box.Ports.Minus(DNSPorts).IsEmpty()
		if clause.Peer < 0 || isForDNS || isEveryPort(clause) {
			continue
		}
		if !v.Work.Spend(len(open)) {
			return
		}
		all := clause.Box
		all.Ports = connset.AllPorts()
		holds := func(other connset.Clause) bool {
			return other.Rule != clause.Rule && world.IsWithin([]connset.Box{all}, []connset.Box{other.Box})
		}
		if i := slices.IndexFunc(open, holds); i >= 0 {
			r.Find(ExcludesNobody, v.clauseField(direction, clause, ""),
				"name ports in "+v.places.Rule(direction, open[i].Rule).String()+", or remove this",
				"%s also includes this peer, on every port: rules add up, so the ports named here restrict nothing", v.clausePlace(direction, open[i]))
		}
	}
}

// withoutExclusions returns a peer without its exclusions, and the name of one; "" if it has none.
func withoutExclusions(peer *networkingv1.NetworkPolicyPeer) (whole *networkingv1.NetworkPolicyPeer, what string) {
	whole = peer.DeepCopy()
	if whole.IPBlock != nil && len(whole.IPBlock.Except) > 0 {
		whole.IPBlock.Except, what = nil, "except"
	}
	for _, selector := range []*metav1.LabelSelector{whole.NamespaceSelector, whole.PodSelector} {
		if selector == nil {
			continue
		}
		selector.MatchExpressions = slices.DeleteFunc(selector.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool {
			isExclusion := e.Operator == metav1.LabelSelectorOpNotIn || e.Operator == metav1.LabelSelectorOpDoesNotExist
			if isExclusion {
				what = string(e.Operator)
			}
			return isExclusion
		})
	}
	return whole, what
}

// clauseOf is a clause of the judged policy with its peer replaced.
func (v *view) clauseOf(direction networkingv1.PolicyType, clause connset.Clause, peer *networkingv1.NetworkPolicyPeer) *connset.Clause {
	rule := kube.Rules(v.Policy.NetworkPolicy, direction)[clause.Rule]
	policy := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: v.Policy.Namespace}}
	policy.Spec.PodSelector, policy.Spec.PolicyTypes = v.Policy.Spec.PodSelector, []networkingv1.PolicyType{direction}
	if direction == ingress {
		policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{Ports: rule.Ports, From: []networkingv1.NetworkPolicyPeer{*peer}}}
	} else {
		policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: rule.Ports, To: []networkingv1.NetworkPolicyPeer{*peer}}}
	}
	if clauses := connset.Read(&policy).Clauses(direction); len(clauses) == 1 {
		return ptr.To(clauses[0])
	}
	return nil
}

// isNameAllowedBy says whether another clause allows the named ports of a clause, by name or by any number.
func isNameAllowedBy(clause, other connset.Clause) bool {
	return !slices.ContainsFunc(clause.Named, func(port connset.NamedPort) bool {
		isSame := func(p connset.NamedPort) bool { return p.Name == port.Name && p.Protocol == port.Protocol }
		every := connset.PortRange(port.Protocol, 1, 65535)
		return !slices.ContainsFunc(other.Named, isSame) && !every.Minus(other.Box.Ports).IsEmpty()
	})
}
