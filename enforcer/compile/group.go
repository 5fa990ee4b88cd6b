package compile

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/apptier/apptier/enforcer/ipset"
)

// group is the set of pods of this node that the same policies isolate in one direction.
type group struct {
	key       string // made of the direction and the policies
	direction Direction
	policies  []*policy // of one namespace, sorted by name
	chain     string

	pods map[*ipset.Pod]bool
	// then is set for addresses that several pods claim. A packet must pass this group and then that one. Such a group
	// has addresses and no pods. Package ipset explains who owns an address.
	then      *group
	addresses map[netip.Addr]bool

	// merging describes the addresses that the group copies into merged sets.
	merging merging
	weighed bool // the group had pods when the policies were weighed
	changed bool // the policies have changed since the chain was written
	written written
}

// groups holds the groups of this node by key. An empty group stays until the next settle.
type groups struct {
	index *ipset.Index
	byKey map[string]*group
	// stale are the groups whose chains may have to be rewritten.
	stale map[*group]bool
}

var (
	dispatchMap = map[Direction]map[family]string{
		Egress: egressMap, Ingress: ingressMap, StagedEgress: stagedEgress, StagedIngress: stagedIngress,
	}
	// nextChain is the chain for packets that a group allows, and deniedChain the one for all others.
	nextChain = map[Direction]string{
		Egress: ingressChain, Ingress: admitChain, StagedEgress: auditIngressChain, StagedIngress: auditedChain,
	}
	deniedChain = map[Direction]string{
		Egress: deniedEgress, Ingress: deniedIngress, StagedEgress: wouldDenyEgress, StagedIngress: wouldDenyIngress,
	}
)

// under returns the group for the given policies, or nil if there are no policies. It creates the group if it does not
// exist. With then it returns the group of addresses that have to pass both.
func (gs *groups) under(direction Direction, policies []*policy, then *group) *group {
	if len(policies) == 0 {
		return nil
	}
	names := policyNames(policies)
	key := string(direction) + " " + strings.Join(names, " ")
	if then != nil {
		key += ", then " + then.key
	}
	g := gs.byKey[key]
	if g == nil {
		g = &group{
			key: key, direction: direction, pods: map[*ipset.Pod]bool{}, chain: hashedName(string(direction), names[0], key),
			then: then, addresses: map[netip.Addr]bool{},
		}
		gs.byKey[key] = g
	}
	if !slices.Equal(g.policies, policies) { // the group is new, or a policy was deleted and created again
		for _, p := range g.policies {
			delete(p.groups, g)
		}
		g.policies, g.changed = slices.Clone(policies), true
		for _, p := range g.policies {
			if p.groups == nil {
				p.groups = map[*group]bool{}
			}
			p.groups[g] = true
		}
	}
	gs.stale[g] = true
	return g
}

// takeOut removes a pod from a group.
func (gs *groups) takeOut(p *ipset.Pod, g *group) {
	delete(g.pods, p)
	gs.stale[g] = true
}

// rewrite marks the chain of a group to be written again.
func (gs *groups) rewrite(g *group) { g.changed, gs.stale[g] = true, true }

// drop deletes an empty group.
func (gs *groups) drop(g *group) {
	delete(gs.byKey, g.key)
	for _, p := range g.policies {
		delete(p.groups, g)
	}
}

// empty reports whether the group has neither pods nor addresses.
func (g *group) empty() bool { return len(g.pods)+len(g.addresses) == 0 }

// unjudged reports whether the group is not evaluated, because one of its staged policies exceeds its budget or is refused.
func (g *group) unjudged() bool {
	return g.direction.isStaged() && slices.ContainsFunc(g.policies, func(p *policy) bool {
		return p.staged && (p.excess != nil || p.refused != nil && !errors.Is(p.refused, ErrTrial))
	})
}

// namespace returns the namespace of the group's policies.
func (g *group) namespace() *namespace { return g.policies[0].in }

func (g *group) remark() string {
	text := string(g.direction) + " of pods under " + strings.Join(policyNames(g.policies), ", ")
	if g.then != nil {
		text = "several pods claim the address: " + text
	}
	return text
}

// familiesOf returns the address families of the group's pods and addresses.
func (gs *groups) familiesOf(g *group) []family {
	var out []family
	for _, f := range families {
		if gs.hasFamily(g, f) {
			out = append(out, f)
		}
	}
	return out
}

func (gs *groups) hasFamily(g *group, f family) bool {
	for p := range g.pods {
		if slices.ContainsFunc(gs.index.Owned(p), func(a ipset.Address) bool { return a.Family() == f }) {
			return true
		}
	}
	for a := range g.addresses {
		if familyOf(a) == f {
			return true
		}
	}
	return false
}

// podNames returns the names of the group's pods, and of the pods that share its addresses, sorted.
func (gs *groups) podNames(g *group) []string {
	names := make([]string, 0, len(g.pods))
	for p := range g.pods {
		names = append(names, p.String())
	}
	for a := range g.addresses {
		for _, p := range gs.index.Owners(a) {
			names = append(names, p.String())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func policyNames(policies []*policy) []string {
	names := make([]string, 0, len(policies))
	for _, p := range policies {
		names = append(names, p.String())
	}
	return names
}
