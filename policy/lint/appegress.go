package lint

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
)

// WorldEgress is found where egress that is isolated is open to everyone.
const WorldEgress ID = "world-egress"

func init() {
	register(Check{
		ID: WorldEgress, Severity: Warn, About: ofAppTiers,
		Title: "Isolated egress that is open to everyone",
		Text: `Everyone is every pod of the cluster too, every node, and the address where clouds hand out credentials of the
node. What is outside the cluster is ` + "`internet`" + `. A tier that is to connect to whatever it likes says so with
` + "`isolate: [Ingress]`" + `.`,
		AppTier: checkWorldEgress,
	})
}

// DNSNoneWithEgress is found where there is no DNS, and connections go to what is reached by name.
const DNSNoneWithEgress ID = "dns-none-with-egress"

func init() {
	register(Check{
		ID: DNSNoneWithEgress, Severity: Warn, About: ofAppTiers,
		Title: "No DNS for what is reached by name",
		Text: `Other tiers, Services, pods and the internet are usually reached by name. With ` + "`dns.mode: None`" + ` nothing lets
pods resolve one. Tiers that may connect to addresses, nodes or the API server alone need none, and a rule that allows
port 53 is taken for DNS of one's own.`,
		AppTier: checkNamesNeeded,
	})
}

// checkWorldEgress finds tiers that may connect to everyone, though their egress is isolated.
func checkWorldEgress(r *report, in *appView) {
	spec := &in.App.Spec
	for rule := range model.Rules(spec) {
		if rule.Direction != v1alpha1.Egress || !holdsForAny(rule, spec) {
			continue
		}
		for i, peer := range rule.Peers {
			switch {
			case peer.Everyone != nil:
				r.find(WorldEgress, rule.PeerAt(i).Path().Child("everyone"), worldEgressFix, "egress to everyone is open to every address, inside the cluster and outside, %s", theMetadataService)
			case peer.Networks != nil && isEverything(peer.Networks):
				r.find(WorldEgress, rule.PeerAt(i).Path().Child("networks"), worldEgressFix, "these ranges are every address of a family, inside the cluster and outside, %s", theMetadataService)
			}
		}
	}
}

const (
	worldEgressFix     = "write internet: {} for what is outside the cluster, and name what is inside"
	theMetadataService = "where clouds hand out credentials of the node (169.254.169.254) too"
)

// holdsForAny says whether a rule restricts any tier.
func holdsForAny(rule model.Rule, spec *v1alpha1.AppTierSpec) bool {
	for i := range spec.Tiers {
		if rule.Restricts(spec, &spec.Tiers[i]) {
			return true
		}
	}
	return false
}

// isEverything says whether ranges are all addresses of a family.
func isEverything(networks *v1alpha1.NetworksPeer) bool {
	for _, family := range []string{"0.0.0.0/0", "::/0"} {
		all := connset.PrefixAddresses(netip.MustParsePrefix(family))
		if all.Minus(addressesIn(networks.CIDRs)).IsEmpty() && all.Intersect(addressesIn(networks.Except)).IsEmpty() {
			return true
		}
	}
	return false
}

// addressesIn are those of ranges that can be read.
func addressesIn(ranges []string) connset.Addresses {
	var prefixes []netip.Prefix
	for _, text := range ranges {
		if prefix, err := kube.ParseCIDR(text); err == nil {
			prefixes = append(prefixes, prefix)
		}
	}
	return connset.PrefixAddresses(prefixes...)
}

// checkNamesNeeded finds tiers that may connect to what is usually reached by name, while nothing lets
// them resolve one. Addresses, nodes and the API server, whose address every pod is given, need none.
func checkNamesNeeded(r *report, in *appView) {
	path, spec := specPath.Child("dns"), &in.App.Spec
	if spec.DNS.Mode != v1alpha1.DNSNone {
		return
	}
	var tiers []string
	for i := range spec.Tiers {
		if tier := &spec.Tiers[i]; model.Isolates(spec, tier, v1alpha1.Egress) && connectsByName(spec, tier) && !asksServers(spec, tier) {
			tiers = append(tiers, tier.Name)
		}
	}
	if len(tiers) > 0 {
		r.find(DNSNoneWithEgress, path.Child("mode"), "leave mode out, name the servers with mode: Custom, or allow addresses alone with networks",
			"tier %s may connect to what is usually reached by name, and may not resolve any", listWords(tiers))
	}
}

// connectsByName says whether a tier may connect to what is usually reached by name.
func connectsByName(spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier) bool {
	for rule := range model.Rules(spec) {
		switch {
		case rule.Direction == v1alpha1.Ingress: // whose sender's egress follows from it
			if slices.ContainsFunc(rule.Peers, func(peer v1alpha1.Peer) bool { return peer.Tier != nil && *peer.Tier == tier.Name }) {
				return true
			}
		case rule.Restricts(spec, tier) && slices.ContainsFunc(rule.Peers, isReachedByName):
			return true
		}
	}
	return false
}

// reachedByName says whether a peer is usually reached by name.
type reachedByName struct{}

func isReachedByName(peer v1alpha1.Peer) bool { return model.Visit(&peer, reachedByName{}) }

func (reachedByName) Internet() bool                          { return true }
func (reachedByName) Everyone() bool                          { return true }
func (reachedByName) Service(*v1alpha1.ServiceReference) bool { return true }
func (reachedByName) AppTier(*v1alpha1.AppTierReference) bool { return true }
func (reachedByName) Pods(*v1alpha1.PodsPeer) bool            { return true }
func (reachedByName) Namespaces(*metav1.LabelSelector) bool   { return true }
func (reachedByName) Networks(*v1alpha1.NetworksPeer) bool    { return false }
func (reachedByName) Nodes() bool                             { return false }
func (reachedByName) KubeAPIServer() bool                     { return false } // every pod is given its address
func (reachedByName) Tier(string) bool                        { return false } // no peer of an egress rule
func (reachedByName) Nobody() bool                            { return false }

// dnsPorts are those that DNS servers listen on: 53, or OpenShift's.
var dnsPorts = connset.PortRange(corev1.ProtocolUDP, 53, 53).Union(connset.PortRange(corev1.ProtocolTCP, 53, 53)).
	Union(connset.PortRange(corev1.ProtocolUDP, 5353, 5353)).Union(connset.PortRange(corev1.ProtocolTCP, 5353, 5353))

// asksServers says whether a rule of a tier lets it ask DNS servers: on port 53, or that of OpenShift's.
func asksServers(spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier) bool {
	for rule := range model.Rules(spec) {
		if rule.Direction != v1alpha1.Egress || !rule.Restricts(spec, tier) || !rule.SaysPorts() {
			continue
		}
		if opened, _ := connset.RulePorts(rule.PortsOf(tier).OfPolicy()); !opened.Intersect(dnsPorts).IsEmpty() {
			return true
		}
	}
	return false
}
