package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
)

// group is the pods of this node that the same policies isolate in one direction.
type group struct {
	direction Direction
	policies  []*policy // sorted by name; all of one namespace
	pods      []*pod    // sorted
	families  []family  // those that the pods have addresses of
}

// group finds the groups of a direction, sorted.
func (c *compiler) group(direction Direction) []*group {
	byPolicies := map[string]*group{}
	for _, p := range c.pods.local {
		var isolating []*policy
		key := p.namespace
		for _, candidate := range c.policies[p.namespace] {
			if candidate.sides[direction].isolates && candidate.pods.Matches(p.labels) {
				isolating = append(isolating, candidate)
				key += "/" + candidate.name
			}
		}
		if len(isolating) == 0 {
			continue
		}
		g := byPolicies[key]
		if g == nil {
			g = &group{direction: direction, policies: isolating}
			byPolicies[key] = g
		}
		g.pods = append(g.pods, p)
	}
	groups := make([]*group, 0, len(byPolicies))
	for _, key := range slices.Sorted(maps.Keys(byPolicies)) {
		g := byPolicies[key]
		g.families = familiesOf(g.pods)
		groups = append(groups, g)
	}
	return groups
}

func familiesOf(pods []*pod) []family {
	var out []family
	for _, f := range families {
		has := func(p *pod) bool {
			return slices.ContainsFunc(p.addresses, func(a address) bool { return familyOf(a.Addr) == f })
		}
		if slices.ContainsFunc(pods, has) {
			out = append(out, f)
		}
	}
	return out
}

// addGroup adds the group's chain, and sends its pods' packets there.
func (c *compiler) addGroup(g *group) {
	var rules []nft.Rule
	known := map[string]bool{}
	for _, p := range g.policies {
		for _, r := range p.sides[g.direction].rules {
			for _, expr := range c.exprs(g, r) {
				if !known[expr] {
					known[expr] = true
					rules = append(rules, nft.Rule{Expr: expr, Comment: remark(p.String() + " " + r.path)})
				}
			}
		}
	}
	rules = append(rules, goTo(map[Direction]string{Egress: deniedEgress, Ingress: deniedIngress}[g.direction]))

	names := policyNames(g.policies)
	chain := nft.Chain{Comment: remark(string(g.direction) + " of pods under " + strings.Join(names, ", ")), Rules: rules}
	name := hashedName(string(g.direction), names[0], fmt.Sprintf("%q %q", names, rules))
	c.table.Chains[name] = chain
	c.dispatch(g, name)
	c.groups = append(c.groups, Group{Direction: g.direction, Chain: name, Policies: names, Pods: podNames(g.pods)})
}

// dispatch adds the group's addresses to the verdict maps, and to the sets of what always passes.
func (c *compiler) dispatch(g *group, chain string) {
	target := egressMap
	if g.direction == Ingress {
		target = ingressMap
	}
	for _, p := range g.pods {
		for _, address := range p.addresses {
			f := familyOf(address.Addr)
			c.table.Sets[target[f]].Elements[address.String()] = nft.Element{
				Value: "goto " + chain, Comment: remark(p.String()),
			}
			for _, other := range p.addresses {
				if familyOf(other.Addr) == f {
					c.table.Sets[selfSet[f]].Elements[nft.Key(address.String(), other.String())] = nft.Element{}
				}
			}
		}
	}
}

// exprs returns the nft rules of a policy's rule: its ports times its peers.
func (c *compiler) exprs(g *group, r rule) []string {
	end, next := server, ingressChain
	if g.direction == Ingress {
		end, next = initiator, admitChain
	}
	peers := c.peerMatches(r.peers, end, g.families)
	if len(peers) == 0 {
		return nil
	}
	var out []string
	for _, port := range c.portMatches(r.ports, g.direction, g.families) {
		for _, peer := range peers {
			if port.family != anyFamily && peer.family != anyFamily && port.family != peer.family {
				continue
			}
			out = append(out, join(port.expr, peer.expr, "goto "+next))
		}
	}
	return out
}

// peerMatches returns one match for each selector and family, and one for all blocks of a family.
func (c *compiler) peerMatches(p peers, end map[family]string, of []family) []match {
	if p.any {
		return []match{{}}
	}
	var out []match
	for _, f := range of {
		for _, s := range p.selectors {
			out = append(out, match{f, fmt.Sprintf("%s @%s", end[f], c.selectorSet(s, f))})
		}
		if spans := union(p.blocks[f]); len(spans) > 0 {
			out = append(out, match{f, fmt.Sprintf("%s @%s", end[f], c.blockSet(f, spans, strings.Join(p.blockTexts[f], " or ")))})
		}
	}
	return out
}

// join puts the parts of a rule together, of which some may be empty.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func policyNames(policies []*policy) []string {
	names := make([]string, 0, len(policies))
	for _, p := range policies {
		names = append(names, p.String())
	}
	return names
}

func podNames(pods []*pod) []string {
	names := make([]string, 0, len(pods))
	for _, p := range pods {
		names = append(names, p.String())
	}
	return names
}
