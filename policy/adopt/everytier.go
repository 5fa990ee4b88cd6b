package adopt

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

const mostEveryTier = 16 // rules of a direction, as in the schema

// share takes from the tiers what all of them allow that are isolated in a direction, which then is said once.
func (d *draft) share() {
	d.shared = map[networkingv1.PolicyType]allowances{ingress: {}, egress: {}}
	for _, direction := range directions {
		var isolated []*tier
		for _, t := range d.tiers {
			if t.isolatesIn(direction) {
				isolated = append(isolated, t)
			}
		}
		if len(isolated) < 2 {
			continue
		}
		for _, one := range isolated[0].left[direction].sorted() {
			lacks := func(t *tier) bool { return t.left[direction][one.peer.key].ports.key() != one.ports.key() }
			if slices.ContainsFunc(isolated, lacks) || len(d.shared[direction]) >= mostEveryTier {
				continue
			}
			d.shared[direction].add(one.peer, one.ports)
			for _, t := range isolated {
				t.left[direction].remove(one.peer, ports{all: true})
			}
		}
	}
}

// everyTier is what the tiers of a draft share.
func (in *Input) everyTier(d *draft) *v1alpha1.EveryTier {
	out := &v1alpha1.EveryTier{}
	for _, direction := range directions {
		all := &tier{subject: &subject{namespace: d.namespace}, left: d.shared}
		rules := in.rulesOf(all, direction)
		slices.SortStableFunc(rules, func(a, b rule) int { return compareRules(a, b, ports{}) })
		for _, r := range rules {
			if direction == ingress {
				out.Ingress = append(out.Ingress, v1alpha1.IngressRule{From: r.peers, Ports: r.ports.rulePorts(), AllPorts: r.ports.all})
			} else {
				out.Egress = append(out.Egress, v1alpha1.EgressRule{To: r.peers, Ports: r.ports.rulePorts(), AllPorts: r.ports.all})
			}
		}
	}
	if len(out.Ingress)+len(out.Egress) == 0 {
		return nil
	}
	return out
}
