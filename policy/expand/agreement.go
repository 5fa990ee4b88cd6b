package expand

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
)

// resolveAppTier resolves a tier of another AppTier. Both owners must agree: the receiver's ingress
// names the sender's tier and the sender's egress the receiver's, with a port in common.
func (x *expansion) resolveAppTier(at place, reference v1alpha1.AppTierReference, direction v1alpha1.Direction, says statement) []end {
	if says.tier == "" { // of DNS servers: only a tier can agree
		return nil
	}
	key := x.key(reference.Namespace, reference.Name)
	other, found := x.env.AppTiers[key]
	if !found {
		x.missing(at, Missing{Kind: "AppTier", Key: key}, fmt.Sprintf("there is no valid AppTier %s", key), "create it, or correct the reference")
		return nil
	}
	tier := tierOf(other, reference.Tier)
	if tier == nil {
		x.missing(at, Missing{Kind: "AppTier", Key: key, Tier: reference.Tier}, fmt.Sprintf("AppTier %s has no tier %q", key, reference.Tier), "correct the reference, or ask its owner for the tier's name")
		return nil
	}
	ports, named := counterpart(other, tier, direction, x.app, says)
	switch field, half := mirror(direction); {
	case !named:
		x.note(at, v1alpha1.ReasonPeerNotAccepted,
			fmt.Sprintf("tier %s of AppTier %s does not name tier %s of AppTier %s/%s in its %s", tier.Name, key, says.tier, x.app.Namespace, x.app.Name, field),
			fmt.Sprintf("its owner agrees with %s: [{%s: [{appTier: {namespace: %s, name: %s, tier: %s}}]}]", field, half, x.app.Namespace, x.app.Name, says.tier))
		return nil
	case len(ports.of) == 0 && !ports.all:
		x.note(at, v1alpha1.ReasonPeerNotAccepted,
			fmt.Sprintf("tier %s of AppTier %s names tier %s in its %s, but on other ports", tier.Name, key, says.tier, field),
			"use the same ports on both sides")
		return nil
	}
	pods := podsOf(key.Namespace, tier.PodSelector, x.app.Namespace)
	return []end{{peers: onePeer(pods), pods: true, bringsPorts: true, ports: ports}}
}

// mirror names the other side's half of a connection.
func mirror(direction v1alpha1.Direction) (field, half string) {
	if direction == v1alpha1.Ingress {
		return "egress", "to"
	}
	return "ingress", "from"
}

// counterpart returns the ports on which another AppTier's tier agrees to a connection with a tier of
// this AppTier, and whether it names that tier at all. Rules that have no port in common with the
// statement do not count.
func counterpart(other *v1alpha1.AppTier, tier *v1alpha1.Tier, direction v1alpha1.Direction, app *v1alpha1.AppTier, says statement) (ports portSet, named bool) {
	names := func(peer v1alpha1.Peer) bool {
		r := peer.AppTier
		return r != nil && r.Name == app.Name && r.Tier == says.tier && namespaceOf(r.Namespace, other) == app.Namespace
	}
	i := slices.IndexFunc(other.Spec.Tiers, func(t v1alpha1.Tier) bool { return t.Name == tier.Name })
	agree := func(theirs portSet, any bool) {
		named = true
		if any || overlap(says.ports, theirs) {
			ports.all = ports.all || theirs.all
			ports.of = append(ports.of, theirs.of...)
		}
	}
	if direction == v1alpha1.Egress {
		for _, rule := range ingressRules(other, i) {
			if slices.ContainsFunc(rule.rule.From, names) {
				agree(ingressPorts(tier, rule.rule), says.portsLeftToPeer)
			}
		}
		return ports, named
	}
	for _, rule := range egressRules(other, i) {
		if !slices.ContainsFunc(rule.rule.To, names) {
			continue
		}
		if len(rule.rule.Ports) == 0 && !rule.rule.AllPorts { // the sender leaves them to this receiver
			agree(says.ports, true)
		} else {
			agree(rulePorts(nil, rule.rule.Ports, rule.rule.AllPorts), false)
		}
	}
	return ports, named
}

// key is the full name of what is referred to: an empty namespace is the AppTier's own.
func (x *expansion) key(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespaceOf(namespace, x.app), Name: name}
}

func namespaceOf(namespace string, app *v1alpha1.AppTier) string {
	if namespace == "" {
		return app.Namespace
	}
	return namespace
}
