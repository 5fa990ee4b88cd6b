package adopt

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
)

var clusterDNSAlone = v1alpha1.DNS{NodeLocal: v1alpha1.NodeLocalNever}

// resolver is a way to say how pods resolve names, and what it allows.
type resolver struct {
	dns    v1alpha1.DNS
	allows allowances
}

// clusterDNS is what a setting allows, as an AppTier with nothing else stands for it. The addresses of the Service are
// left out: what is sent there reaches its pods, which are named anyway.
func (in *Input) clusterDNS(namespace string, dns v1alpha1.DNS) allowances {
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}}
	app.Spec = v1alpha1.AppTierSpec{DNS: dns, Isolation: v1alpha1.Isolation{Scope: v1alpha1.ScopeNamespace}}
	out := allowances{}
	for _, policy := range expand.NetworkPolicies(app, in.Environment) {
		for _, rule := range kube.Rules(policy, egress) {
			on, err := readPorts(rule.Ports, nil)
			if err != nil { // the expansion has numbers alone
				continue
			}
			for _, of := range rule.Peers {
				if p, err := readPeer(namespace, of); err == nil && !in.isServiceOfDNS(p.block) {
					out.add(p, on)
				}
			}
		}
	}
	return out
}

func (in *Input) isServiceOfDNS(block *networkingv1.IPBlock) bool {
	if block == nil {
		return false
	}
	cidr, err := netip.ParsePrefix(block.CIDR)
	return err == nil && cidr.IsSingleIP() && slices.Contains(in.Environment.DNS.Addresses, cidr.Addr())
}

// resolversOf are the ways to say how the pods of a draft resolve names that allow none of them more than their
// policies do. If the draft is for every pod of its namespace, they say all that these may do.
func (in *Input) resolversOf(d *draft) []resolver {
	candidates := []resolver{{}, {dns: clusterDNSAlone}, {dns: v1alpha1.DNS{Mode: v1alpha1.DNSNone}}}
	for i := range candidates {
		candidates[i].allows = in.clusterDNS(d.namespace, candidates[i].dns)
	}
	isolated := 0
	for _, t := range d.tiers {
		if t.isolatesIn(egress) {
			isolated++
		}
	}
	if isolated == 0 && d.every == nil { // nothing is said, since it changes nothing
		return []resolver{{allows: allowances{}}}
	}
	candidates = append(candidates, in.customOf(d)...)
	return slices.DeleteFunc(candidates, func(r resolver) bool { return !d.allowsAll(r) })
}

// allowsAll says whether the policies of all isolated pods of a draft allow what a way to resolve names does.
func (d *draft) allowsAll(r resolver) bool {
	for _, one := range r.allows {
		if d.every != nil && !d.every.allows[egress].covering(one.peer).contains(one.ports) {
			return false
		}
		for _, t := range d.tiers {
			if d.every == nil && t.isolatesIn(egress) && !t.allows[egress].covering(one.peer).contains(one.ports) {
				return false
			}
		}
	}
	if d.every == nil {
		return true
	}
	left := d.every.allows[egress].with(nil)
	for _, one := range r.allows {
		left.remove(one.peer, one.ports)
	}
	return len(left) == 0
}

// customOf are the servers, by their ports, that all of a draft's isolated pods may ask.
func (in *Input) customOf(d *draft) []resolver {
	var said []allowances
	if d.every != nil {
		said = append(said, d.every.allows[egress])
	}
	for _, t := range d.tiers {
		if d.every == nil && t.isolatesIn(egress) {
			said = append(said, t.allows[egress])
		}
	}
	var out []resolver
	for _, first := range said[0].sorted() {
		if !in.isDNS(d.namespace, first) || slices.ContainsFunc(out, func(r resolver) bool { return r.hasPorts(first.ports) }) {
			continue
		}
		r := resolver{dns: v1alpha1.DNS{Mode: v1alpha1.DNSCustom}, allows: allowances{}}
		if !first.ports.contains(dnsPorts) || !dnsPorts.contains(first.ports) {
			r.dns.Ports = first.ports.rulePorts()
		}
		for _, one := range said[0].sorted() {
			lacks := func(a allowances) bool { return a[one.peer.key].ports.key() != first.ports.key() }
			if !slices.ContainsFunc(said, lacks) {
				r.allows.add(one.peer, one.ports)
			}
		}
		r.dns.To = in.declaredAll(d.namespace, r.allows.sorted())
		if len(r.dns.To) > 0 && len(r.dns.To) <= mostServers {
			out = append(out, r)
		}
	}
	return out
}

const mostServers = 16 // as in the schema

func (r resolver) hasPorts(on ports) bool {
	for _, one := range r.allows {
		return one.ports.key() == on.key()
	}
	return false
}
