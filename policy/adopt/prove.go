package adopt

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
	"github.com/apptier/apptier/policy/reach"
)

// keepRefused keeps the policies of what cannot be as it is: of an AppTier that is refused, and of names that are taken.
func (p *proposal) keepRefused(out Result, kept map[types.NamespacedName]string) bool {
	before, taken := len(kept), map[types.NamespacedName]bool{}
	for _, policy := range p.all {
		taken[kube.NameOf(policy)] = true
	}
	for i, app := range p.apps {
		why := ""
		if p.in.Refuses != nil {
			why = p.in.Refuses(app)
		}
		for _, policy := range out.Policies {
			if policy.Labels[v1alpha1.LabelAppTier] == app.Name && policy.Namespace == app.Namespace && taken[kube.NameOf(policy)] {
				why = "metadata.name: the AppTier would need the name of NetworkPolicy " + policy.Name
			}
		}
		at := placeOfTier.FindStringSubmatch(why)
		switch tiers := p.drafts[i].tiers; {
		case why == "":
		case at != nil && indexOf(at[1]) < len(tiers):
			keep(tiers[indexOf(at[1])].policies, kept, why)
		default:
			keepDraft(p.drafts[i], kept, why)
		}
	}
	return len(kept) > before
}

// placeOfTier begins a reason that is about one tier.
var placeOfTier = regexp.MustCompile(`^spec\.tiers\[(\d+)\]`)

func indexOf(digits string) int {
	index, err := strconv.Atoi(digits)
	if err != nil { // there is no such tier
		return mostTiers
	}
	return index
}

func keepDraft(d *draft, kept map[types.NamespacedName]string, why string) {
	if d.every != nil {
		keep(d.every.policies, kept, why)
	}
	for _, t := range d.tiers {
		keep(t.policies, kept, why)
	}
}

func keep(policies []*networkingv1.NetworkPolicy, kept map[types.NamespacedName]string, why string) {
	for _, policy := range policies {
		if kept[kube.NameOf(policy)] == "" {
			kept[kube.NameOf(policy)] = why
		}
	}
}

// keepFaulty keeps the policies that say something else than what would be in their place. Which policies decide is
// known of both states; if none of them is one that was to go, all of the namespace stay.
func (p *proposal) keepFaulty(out Result, kept map[types.NamespacedName]string) bool {
	before := len(kept)
	for _, c := range out.Differences.Changes {
		if p.isMeant(c) {
			continue
		}
		was, is, pod := c.Before.Ingress, c.After.Ingress, c.To[0].Pod
		if c.Before.Egress.Verdict != c.After.Egress.Verdict {
			was, is, pod = c.Before.Egress, c.After.Egress, c.From[0].Pod
		}
		why := "an AppTier would change a connection: " + c.String()
		n := len(kept)
		for _, d := range p.drafts {
			if d.namespace != pod.Namespace {
				continue
			}
			for _, t := range d.tiers {
				if decides(was, t.policies) || decidesFor(is, d, t.name) {
					keep(t.policies, kept, why)
				}
			}
		}
		if len(kept) > n {
			continue
		}
		for _, d := range p.drafts {
			if d.namespace == pod.Namespace {
				keepDraft(d, kept, why)
			}
		}
	}
	return len(kept) > before
}

// decides says whether some policies are among those of a decision.
func decides(d reach.Decision, policies []*networkingv1.NetworkPolicy) bool {
	return slices.ContainsFunc(policies, func(p *networkingv1.NetworkPolicy) bool { return slices.Contains(d.Policies, kube.NameOf(p)) })
}

func decidesFor(decision reach.Decision, d *draft, tier string) bool {
	return slices.ContainsFunc(decision.Policies, func(name types.NamespacedName) bool {
		return name.Namespace == d.namespace && name.Name == expand.TierPolicyName(d.name, tier)
	})
}

// isMeant says whether a difference comes with what an AppTier is: it opens the address of the Service of DNS, whose pods
// are open anyway; it names tiers, if that is wished, where a peer was about more; and it knows ports by their numbers,
// which opens them at pods that do not know their names.
func (p *proposal) isMeant(c compare.Change) bool {
	if !c.Opened {
		return p.narrowed[c.To[0].Pod.Namespace] || p.narrowed[c.From[0].Pod.Namespace]
	}
	service := p.in.Environment.DNS
	isOfDNS := func(e reach.Endpoint) bool {
		return e.Pod == (types.NamespacedName{}) && slices.Contains(service.Addresses, e.Address) && e.Address != (netip.Addr{})
	}
	if !slices.ContainsFunc(c.To, func(e reach.Endpoint) bool { return !isOfDNS(e) }) {
		return slices.ContainsFunc(service.ServicePorts, func(port model.Port) bool {
			return port.Protocol == c.Protocol && c.First == port.Start && c.Last == port.Start
		})
	}
	for _, d := range p.drafts {
		for _, t := range d.tiers {
			if c.First == c.Last && t.numbers[c.First] != "" && (d.namespace == c.To[0].Pod.Namespace || d.namespace == c.From[0].Pod.Namespace) {
				return true
			}
		}
	}
	return false
}
