package adopt

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/connset"
)

// start has nothing said yet: all that policies allow is left.
func (t *tier) start() {
	t.left = map[networkingv1.PolicyType]allowances{ingress: {}, egress: {}}
	for _, direction := range directions {
		if t.isolatesIn(direction) {
			t.left[direction] = t.allows[direction].with(nil)
		}
	}
	t.fromTiers, t.agreed = nil, map[networkingv1.PolicyType][]tierPorts{}
}

// fold says each connection between two tiers of a draft once, at its receiver, where both halves are there.
func (p *proposal) fold(d *draft) {
	for _, receiver := range d.tiers {
		for _, sender := range d.tiers {
			p.foldPair(sender, receiver)
		}
	}
}

// foldPair says what both halves of a connection allow as one declaration. A half may be a part of what is allowed with
// more peers than this: then it stays, and the declaration adds nothing to it.
func (p *proposal) foldPair(sender, receiver *tier) {
	if !receiver.isolatesIn(ingress) { // nothing is declared where everything is allowed
		return
	}
	accepts, mayReach := receiver.allows[ingress].covering(sender.self), ports{all: true}
	in, out := receiver.allows[ingress][sender.self.key].ports, ports{}
	if sender.isolatesIn(egress) {
		mayReach, out = sender.allows[egress].covering(receiver.self), sender.allows[egress][receiver.self.key].ports
	}
	both := in.intersect(mayReach).union(out.intersect(accepts))
	if both.isEmpty() {
		return
	}
	receiver.fromTiers = append(receiver.fromTiers, tierPorts{sender, both})
	receiver.left[ingress].remove(sender.self, both)
	sender.left[egress].remove(receiver.self, both)
	p.dropDead(sender, receiver, both)
}

// dropDead drops what is left of a half that was folded, if the other half denies all of it, whatever labels the pods
// have besides.
func (p *proposal) dropDead(sender, receiver *tier, folded ports) {
	rest := sender.left[egress][receiver.self.key].ports
	if receiver.isolatesIn(ingress) && !p.mayAllow(receiver, ingress, sender, rest, folded) {
		sender.left[egress].remove(receiver.self, ports{all: true})
	}
	rest = receiver.left[ingress][sender.self.key].ports
	if sender.isolatesIn(egress) && !p.mayAllow(sender, egress, receiver, rest, folded) {
		receiver.left[ingress].remove(sender.self, ports{all: true})
	}
}

// mayAllow says whether any policy of a tier's namespace may allow it connections with another tier, on some ports but
// not on those that are folded.
func (p *proposal) mayAllow(of *tier, direction networkingv1.PolicyType, with *tier, on, folded ports) bool {
	if p.in.isUnjudged(of.namespace) {
		return !on.isEmpty()
	}
	asked, err := connset.Everything().WhereSelected(connset.Subject, of.selector)
	if err != nil {
		return true
	}
	asked = asked.WhereNamespace(with.namespace)
	if asked, err = asked.WhereSelected(connset.Peer, with.selector); err != nil {
		return true
	}
	asked.Kinds &= connset.Pods
	asked.Ports = connsetPorts(on).Minus(connsetPorts(folded))
	for _, policy := range p.all {
		if policy.Namespace != of.namespace {
			continue
		}
		for _, clause := range connset.Read(policy).Clauses(direction) {
			box := clause.Box
			if len(clause.Named) > 0 {
				box.Ports = connset.AllPorts()
			}
			if box.Overlaps(asked) {
				return true
			}
		}
	}
	return false
}

func connsetPorts(p ports) connset.Ports {
	if p.isEmpty() {
		return connset.Ports{}
	}
	out, _ := connset.RulePorts(p.policyPorts())
	return out
}

// agree has tiers of different drafts name each other, where both their policies name the other's pods.
func agree(drafts []*draft) {
	byPods := map[string]*tier{}
	for _, d := range drafts {
		for _, t := range d.tiers {
			byPods[podsKey(t.namespace, t.selector)] = t
		}
	}
	for _, d := range drafts {
		for _, receiver := range d.tiers {
			for _, from := range receiver.left[ingress].sorted() {
				if sender := byPods[from.peer.podsKey(receiver.namespace)]; sender != nil && sender.of != receiver.of {
					agreeOn(sender, receiver, from)
				}
			}
		}
	}
}

func agreeOn(sender, receiver *tier, from allowance) {
	to := receiver.seenFrom(sender.namespace)
	both := from.ports.intersect(sender.left[egress][to.key].ports)
	if !sender.isolatesIn(egress) || both.isEmpty() {
		return
	}
	receiver.agreed[ingress] = append(receiver.agreed[ingress], tierPorts{sender, both})
	sender.agreed[egress] = append(sender.agreed[egress], tierPorts{receiver, both})
	receiver.left[ingress].remove(from.peer, both)
	sender.left[egress].remove(to, both)
}

// podsKey is the same for the same pods of one namespace, however a peer says which that is.
func podsKey(namespace string, pods *metav1.LabelSelector) string { return namespace + textOf(pods) }

// podsKey is that of the pods of a peer of a policy; empty if they are not of one namespace.
func (p peer) podsKey(namespace string) string {
	switch {
	case p.pods == nil:
		return ""
	case p.namespaces == nil:
		return podsKey(namespace, p.pods)
	case textOf(p.namespaces) == textOf(named(p.namespaces.MatchLabels[corev1.LabelMetadataName])):
		return podsKey(p.namespaces.MatchLabels[corev1.LabelMetadataName], p.pods)
	default:
		return ""
	}
}

// settle drops what is said already: by the way to resolve names, by what holds for every pod of the namespace, and by
// another allowance.
func (t *tier) settle(r resolver) {
	out := t.left[egress]
	for _, one := range r.allows {
		out.remove(one.peer, one.ports)
	}
	if every := t.of.every; every != nil {
		for _, one := range maps.Clone(out) {
			if every.allows[egress].covering(one.peer).contains(one.ports) {
				out.remove(one.peer, one.ports)
			}
		}
	}
	for _, direction := range directions {
		t.left[direction] = t.left[direction].withoutUseless()
	}
}
