package compile

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/apptier/apptier/enforcer/ipset"
)

// group is the pods of this node that the same policies isolate in one direction.
type group struct {
	key       string // direction and policies
	direction Direction
	policies  []*policy // sorted by name; all of one namespace
	chain     string

	pods map[*ipset.Pod]bool
	// then is another group that must allow too what this one allows: see package ipset about ownership. Such a
	// group has no pods but addresses.
	then      *group
	addresses map[netip.Addr]bool

	// merging is what its rules have copied to look peers up together, if they may.
	merging merging
	weighed bool // it had pods when its policies were weighed
	changed bool // its policies did, since its chain was written
	written written
}

// groups are those of this node, by key. One that nothing is in any more waits to be dropped.
type groups struct {
	index *ipset.Index
	byKey map[string]*group
	// stale are the groups whose chains may be others.
	stale map[*group]bool
}

var (
	dispatchMap = map[Direction]map[family]string{
		Egress: egressMap, Ingress: ingressMap, StagedEgress: stagedEgress, StagedIngress: stagedIngress,
	}
	// nextChain is where what a group allows goes on, and deniedChain where the rest goes.
	nextChain = map[Direction]string{
		Egress: ingressChain, Ingress: admitChain, StagedEgress: auditIngressChain, StagedIngress: auditedChain,
	}
	deniedChain = map[Direction]string{
		Egress: deniedEgress, Ingress: deniedIngress, StagedEgress: wouldDenyEgress, StagedIngress: wouldDenyIngress,
	}
)

// under returns the group of pods under these policies, or nil if there are none; or that of addresses
// under them and under those of another group.
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
	if !slices.Equal(g.policies, policies) { // it is new, or one of them was deleted and made again
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

// takeOut takes a pod out of a group.
func (gs *groups) takeOut(p *ipset.Pod, g *group) {
	delete(g.pods, p)
	gs.stale[g] = true
}

// rewrite has the chain of a group written again.
func (gs *groups) rewrite(g *group) { g.changed, gs.stale[g] = true, true }

// drop forgets a group without pods.
func (gs *groups) drop(g *group) {
	delete(gs.byKey, g.key)
	for _, p := range g.policies {
		delete(p.groups, g)
	}
}

// empty tells whether nothing is in the group any more.
func (g *group) empty() bool { return len(g.pods)+len(g.addresses) == 0 }

// unjudged says that the group is of staged policies, and one of them asks for too much or is refused.
func (g *group) unjudged() bool {
	return g.direction.isStaged() && slices.ContainsFunc(g.policies, func(p *policy) bool {
		return p.staged && (p.excess != nil || p.refused != nil && !errors.Is(p.refused, ErrTrial))
	})
}

// namespace is that of the group's policies.
func (g *group) namespace() *namespace { return g.policies[0].in }

func (g *group) remark() string {
	text := string(g.direction) + " of pods under " + strings.Join(policyNames(g.policies), ", ")
	if g.then != nil {
		text = "several pods claim the address: " + text
	}
	return text
}

// familiesOf returns those that the group's pods have addresses of.
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

// podNames returns the pods of a group, among them those that own its addresses together.
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
