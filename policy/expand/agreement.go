package expand

import (
	"fmt"
	"slices"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// AppTier resolves a tier of another AppTier. Both owners must agree: the receiver's ingress
// names the sender's tier and the sender's egress the receiver's, with a port in common.
func (x resolver) AppTier(reference *v1alpha1.AppTierReference) []end {
	at, direction, says := x.at.Child("appTier"), x.direction, x.says
	if says.tier == "" { // of DNS servers: only a tier can agree
		return nil
	}
	key := model.Key(x.app, reference.Namespace, reference.Name)
	other, found := x.env.AppTiers[key]
	if !found {
		x.missing(at, Missing{Kind: "AppTier", Key: key}, fmt.Sprintf("there is no valid AppTier %s", key), "create it, or correct the reference")
		return nil
	}
	tier := model.TierNamed(&other.Spec, reference.Tier)
	if tier == nil {
		x.missing(at, Missing{Kind: "AppTier", Key: key, Tier: reference.Tier}, fmt.Sprintf("AppTier %s has no tier %q", key, reference.Tier),
			"correct the reference, or ask its owner for the tier's name")
		return nil
	}
	ports, named := counterpart(other, tier, direction, x.app, says)
	switch field, half := mirror(direction); {
	case !named:
		x.note(at, v1alpha1.ReasonPeerNotAccepted,
			fmt.Sprintf("tier %s of AppTier %s does not name tier %s of AppTier %s/%s in its %s", tier.Name, key, says.tier, x.app.Namespace,
				x.app.Name, field),
			fmt.Sprintf("its owner agrees with %s: [{%s: [{appTier: {namespace: %s, name: %s, tier: %s}}]}]", field, half, x.app.Namespace,
				x.app.Name, says.tier))
		return nil
	case ports.IsEmpty():
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
func counterpart(other *v1alpha1.AppTier, tier *v1alpha1.Tier, direction v1alpha1.Direction, app *v1alpha1.AppTier,
	says statement) (ports model.Ports, named bool) {
	names := func(peer v1alpha1.Peer) bool {
		r := peer.AppTier
		return r != nil && r.Tier == says.tier && model.Key(other, r.Namespace, r.Name) == model.Key(app, "", app.Name)
	}
	agree := func(theirs model.Ports, any bool) {
		named = true
		if any || says.ports.Overlaps(theirs) {
			ports.All = ports.All || theirs.All
			ports.Of = append(ports.Of, theirs.Of...)
		}
	}
	theirs := v1alpha1.Ingress
	if direction == v1alpha1.Ingress {
		theirs = v1alpha1.Egress
	}
	for _, rule := range model.RulesOf(&other.Spec, model.TierIndex(&other.Spec, tier.Name), theirs) {
		switch {
		case !slices.ContainsFunc(rule.Peers, names):
		case theirs == v1alpha1.Ingress:
			agree(rule.PortsOf(tier), says.portsLeftToPeer)
		case rule.SaysPorts():
			agree(rule.PortsOf(tier), false)
		default: // the sender leaves them to this receiver
			agree(says.ports, true)
		}
	}
	return ports, named
}
