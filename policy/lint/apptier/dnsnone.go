package apptier

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/model"
)

// DNSNoneWithEgress reports where there is no DNS, and connections go to peers that clients reach by name.
var DNSNoneWithEgress = register(check.Check{
	ID: "dns-none-with-egress", Severity: check.Warn, About: check.OfAppTiers,
	Title: "No DNS for peers that are reached by name",
	Text: `Clients usually reach other tiers, Services, pods and the internet by name. With ` + "`dns.mode: None`" + ` pods cannot
resolve names. Tiers that may connect only to addresses, nodes or the API server need no names, and a rule that allows
port 53 counts as DNS.`,
})

func init() { runs[DNSNoneWithEgress] = checkNamesNeeded }

// checkNamesNeeded finds tiers that may connect to peers that clients usually reach by name, but cannot resolve names.
// Addresses, nodes and the API server need none: every pod has the API server's address.
func checkNamesNeeded(r *check.Report, in *appView) {
	path, spec := field.NewPath("spec", "dns"), &in.App.Spec
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
		r.Find(DNSNoneWithEgress, path.Child("mode"),
			"leave mode out, name the servers with mode: Custom, or allow only addresses, with networks",
			"tier %s may connect to peers that are usually reached by name, but cannot resolve names", words.List(tiers))
	}
}

// connectsByName says whether a tier may connect to peers that clients usually reach by name.
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
func (reachedByName) KubeAPIServer() bool                     { return false } // every pod has its address
func (reachedByName) Tier(string) bool                        { return false } // no peer of an egress rule
func (reachedByName) Nobody() bool                            { return false }

// asksServers says whether a rule allows a tier to ask DNS servers: on port 53, or OpenShift's 5353.
func asksServers(spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier) bool {
	for rule := range model.Rules(spec) {
		if rule.Direction != v1alpha1.Egress || !rule.Restricts(spec, tier) || !rule.SaysPorts() {
			continue
		}
		if opened, _ := connset.RulePorts(rule.PortsOf(tier).OfPolicy()); !opened.Intersect(netpol.DNSPorts).IsEmpty() {
			return true
		}
	}
	return false
}
