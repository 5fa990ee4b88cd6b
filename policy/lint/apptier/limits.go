package apptier

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/model"
)

// How long lists may be, as in the schema, which limits the cost of its CEL rules.
const (
	mostTiers      = 64
	mostOfTier     = 32 // rules of a direction, and ports
	mostOfRule     = 32 // peers, and ports
	mostEveryTier  = 16 // rules of a direction
	mostDNS        = 16 // servers, and ports
	mostOfNetworks = 1000
)

// checkLimits refuses the lists that the schema refuses: lists that are too long, that repeat an item, and empty lists
// where no list has a meaning.
func checkLimits(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec) {
	checkLength(r, path.Child("dns", "to"), len(spec.DNS.To), mostDNS)
	checkLength(r, path.Child("dns", "ports"), len(spec.DNS.Ports), mostDNS)
	checkListsOfPeers(r, path.Child("dns", "to").Index, spec.DNS.To)
	if every := spec.EveryTier; every != nil {
		everyPath := path.Child("everyTier")
		if every.Ingress == nil && every.Egress == nil {
			r.Find(netpol.Invalid, everyPath, "declare ingress or egress, or leave it out", "it says nothing")
		}
		checkLength(r, everyPath.Child("ingress"), len(every.Ingress), mostEveryTier)
		checkLength(r, everyPath.Child("egress"), len(every.Egress), mostEveryTier)
	}
	checkLength(r, path.Child("tiers"), len(spec.Tiers), mostTiers)
	for i, tier := range spec.Tiers {
		tierPath := path.Child("tiers").Index(i)
		checkLength(r, tierPath.Child("ports"), len(tier.Ports), mostOfTier)
		checkLength(r, tierPath.Child("ingress"), len(tier.Ingress), mostOfTier)
		checkLength(r, tierPath.Child("egress"), len(tier.Egress), mostOfTier)
		checkWritten(r, tierPath.Child("isolate"), tier.Isolate, "both directions")
		checkOnce(r, tierPath.Child("isolate"), tier.Isolate)
	}
	for rule := range model.Rules(spec) {
		checkLength(r, rule.At.Path().Child(rule.PeersField()), len(rule.Peers), mostOfRule)
		checkLength(r, rule.At.Path().Child("ports"), len(rule.Ports), mostOfRule)
		checkWritten(r, rule.At.Path().Child("ports"), rule.Ports, "the ports of the other end, or those that the tier declares")
		checkListsOfPeers(r, func(i int) *field.Path { return rule.PeerAt(i).Path() }, rule.Peers)
	}
}

func checkListsOfPeers(r *check.Report, at func(int) *field.Path, peers []v1alpha1.Peer) {
	for i, peer := range peers {
		if peer.Networks == nil {
			continue
		}
		path := at(i).Child("networks")
		checkLength(r, path.Child("cidrs"), len(peer.Networks.CIDRs), mostOfNetworks)
		checkLength(r, path.Child("except"), len(peer.Networks.Except), mostOfNetworks)
		checkOnce(r, path.Child("cidrs"), peer.Networks.CIDRs)
		checkOnce(r, path.Child("except"), peer.Networks.Except)
	}
}

func checkLength(r *check.Report, path *field.Path, length, most int) {
	if length > most {
		r.Find(netpol.Invalid, path, fmt.Sprintf("write at most %d items, or split what holds the list", most),
			"%d items are more than the limit of %d", length, most)
	}
}

// checkWritten refuses an empty list, as the API server does: no list has a meaning, and an empty one looks as if it
// meant nothing.
func checkWritten[T any](r *check.Report, path *field.Path, list []T, meaning string) {
	if list != nil && len(list) == 0 {
		r.Find(netpol.Invalid, path, "leave it out for "+meaning, "it is unclear what an empty list means")
	}
}
