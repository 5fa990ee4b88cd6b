package draw

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
)

// rules draws the rules of a tier.
type rules struct {
	*drawing
	app        *v1alpha1.AppTier
	tier       *v1alpha1.Tier
	box        *box
	unresolved map[string]bool
}

// ingress draws who may connect to the i-th tier.
func (r rules) ingress(i int) {
	if !model.Isolates(&r.app.Spec, r.tier, v1alpha1.Ingress) {
		r.graph.arrow(r.graph.box(anyone), r.box, anyPort)
		return
	}
	for _, rule := range model.RulesOf(&r.app.Spec, i, v1alpha1.Ingress) {
		ports := portsOf(&rule, r.tier)
		for j := range rule.Peers {
			if !ports.empty() {
				r.from(rule.PeerAt(j), &rule.Peers[j], ports)
			}
		}
	}
}

func (r rules) from(at model.Place, peer *v1alpha1.Peer, ports portSet) {
	switch {
	case peer.AppTier != nil && r.isUnresolved(at):
		r.graph.draw(r.other(*peer.AppTier), r.box, pending, ports)
	case peer.AppTier != nil:
		r.graph.arrow(r.other(*peer.AppTier), r.box, ports.common(r.sentBy(*peer.AppTier)))
	case peer.Everyone != nil:
		r.graph.arrow(r.graph.box(anyone), r.box, ports)
	default:
		if other := r.peer(peer); other != nil {
			r.graph.arrow(other, r.box, ports)
		}
	}
}

// egress draws what the i-th tier may connect to, beside what accepts it.
func (r rules) egress(i int) {
	if !model.Isolates(&r.app.Spec, r.tier, v1alpha1.Egress) {
		r.graph.arrow(r.box, r.graph.box(anywhere), anyPort)
		return
	}
	for _, rule := range model.RulesOf(&r.app.Spec, i, v1alpha1.Egress) {
		for j := range rule.Peers {
			r.to(rule.PeerAt(j), &rule.Peers[j], portsOf(&rule, r.tier))
		}
	}
	if mesh := r.app.Spec.Mesh; mesh != nil && mesh.DataPlane != v1alpha1.Ambient {
		label := string(mesh.Provider) + "'s control plane"
		r.graph.arrow(r.box, r.graph.box(box{key: label, label: label, shape: rounded}), portSet{theirs: true})
	}
	if dns := r.app.Spec.DNS; dns.Mode == v1alpha1.DNSCustom {
		ports := dnsPorts()
		if len(dns.Ports) > 0 {
			ports = portSet{Ports: model.RulePorts(nil, dns.Ports, false)}
		}
		for k := range dns.To {
			r.to(model.DNSServer(k), &dns.To[k], ports)
		}
	}
}

func (r rules) to(at model.Place, peer *v1alpha1.Peer, ports portSet) {
	switch {
	case peer.AppTier != nil && r.isUnresolved(at):
		r.graph.draw(r.box, r.other(*peer.AppTier), pending, ports)
	case peer.AppTier != nil: // drawn with its receiver
	case peer.Everyone != nil:
		r.graph.arrow(r.box, r.graph.box(anywhere), ports)
	default:
		if other := r.peer(peer); other != nil {
			r.graph.arrow(r.box, other, ports)
		}
	}
}

// isUnresolved says whether a reference is unresolved. Its path may be that of the peer or of the
// field within.
func (r rules) isUnresolved(at model.Place) bool {
	return r.unresolved[at.String()] || r.unresolved[at.Child("appTier").String()]
}

// other is the box of a tier of another AppTier, which may not be drawn itself.
func (r rules) other(reference v1alpha1.AppTierReference) *box {
	key := r.key(reference)
	if app, tier := r.find(reference); tier != nil {
		return r.drawing.tier(app, tier)
	}
	return r.graph.box(box{key: fmt.Sprintf("tier %s of %s", reference.Tier, key), namespace: key.Namespace,
		label: fmt.Sprintf("%s of %s", reference.Tier, key.Name), shape: rounded})
}

// find returns a tier of another AppTier that is drawn too, or nil.
func (r rules) find(reference v1alpha1.AppTierReference) (*v1alpha1.AppTier, *v1alpha1.Tier) {
	app := r.apps[r.key(reference)]
	if app == nil {
		return nil, nil
	}
	return app, model.TierNamed(&app.Spec, reference.Tier)
}

func (r rules) key(reference v1alpha1.AppTierReference) types.NamespacedName {
	return model.Key(r.app, reference.Namespace, reference.Name)
}

// sentBy are the ports on which a tier of another AppTier wants to connect to this one.
func (r rules) sentBy(reference v1alpha1.AppTierReference) portSet {
	app, tier := r.find(reference)
	if tier == nil {
		return portSet{}
	}
	there := rules{drawing: r.drawing, app: app}
	this := func(peer v1alpha1.Peer) bool {
		return peer.AppTier != nil && peer.AppTier.Tier == r.tier.Name && there.key(*peer.AppTier) == kube.NameOf(r.app)
	}
	var ports portSet
	for _, rule := range model.RulesOf(&app.Spec, model.TierIndex(&app.Spec, tier.Name), v1alpha1.Egress) {
		if slices.ContainsFunc(rule.Peers, this) {
			ports = ports.and(portsOf(&rule, tier))
		}
	}
	return ports
}
