package compile

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/apptier/apptier/enforcer/nft"
)

// setSpec is a set that a rule looks up: its name, and what is to be in it.
type setSpec struct {
	name string
	// set is its definition, without elements.
	set    nft.Set
	family family
	// keys are its elements, if they are part of its name and so never change.
	keys []string
	// verdicts are those of a map, in place of keys.
	verdicts []piece
	// selectors tell the pods whose addresses are in it. Those of a merged set change, and may select an
	// address several times.
	selectors []*selector
	merged    bool
	// port is what the addresses and numbers in it are called, by pods of this node alone or by any.
	port  *namedPort
	local bool
}

// setRef is a set that rules look up.
type setRef struct {
	setSpec
	refs      int // chains that do
	selectors map[string]*selected
	// counts is how many of its selectors select an address, if it is merged.
	counts map[netip.Addr]int
}

// acquire makes sure that the set is there, and stays.
func (c *Compiler) acquire(d *setSpec) {
	u := c.setRefs[d.name]
	if u == nil {
		u = c.create(d)
	}
	u.refs++
	for _, s := range d.selectors {
		if u.selectors[s.text] == nil {
			c.attach(u, s)
		}
	}
	if len(u.selectors) > len(d.selectors) {
		wanted := make(map[string]bool, len(d.selectors))
		for _, s := range d.selectors {
			wanted[s.text] = true
		}
		for text, from := range u.selectors {
			if !wanted[text] {
				c.detach(u, from)
			}
		}
	}
}

func (c *Compiler) create(d *setSpec) *setRef {
	u := &setRef{setSpec: *d, selectors: map[string]*selected{}}
	u.setSpec.selectors = nil
	if d.merged {
		u.counts = map[netip.Addr]int{}
	}
	s := d.set
	s.Elements = make(map[string]nft.Element, len(d.keys)+len(d.verdicts))
	for _, key := range d.keys {
		s.Elements[key] = nft.Element{}
	}
	for _, p := range d.verdicts {
		s.Elements[p.String()] = nft.Element{Value: p.verdict}
	}
	c.setRefs[d.name] = u
	c.journal.AddSet(d.name, s)
	if d.port != nil {
		c.named[*d.port] = append(c.named[*d.port], u)
		c.eachNaming(u, func(p *Pod, port containerPort) { u.addPort(c.journal, p, port.number, c.owners.each(p, port.isOf)) })
	}
	return u
}

// eachNaming calls do for the pods that name the port.
func (c *Compiler) eachNaming(u *setRef, do func(*Pod, containerPort)) {
	for p := range c.namers[*u.port] {
		if u.local && !p.local {
			continue
		}
		for _, port := range p.ports {
			if port.namedPort == *u.port {
				do(p, port)
			}
		}
	}
}

// learnNames has a pod found by the ports that it names: a policy may look up many, which few pods have.
func (c *Compiler) learnNames(p *Pod) {
	for _, port := range p.ports {
		if c.namers[port.namedPort] == nil {
			c.namers[port.namedPort] = map[*Pod]bool{}
		}
		c.namers[port.namedPort][p] = true
	}
}

// forgetNames takes back what learnNames did.
func (c *Compiler) forgetNames(p *Pod) {
	for _, port := range p.ports {
		if delete(c.namers[port.namedPort], p); len(c.namers[port.namedPort]) == 0 {
			delete(c.namers, port.namedPort)
		}
	}
}

// release lets the set go when no chain looks it up any more.
func (c *Compiler) release(name string) {
	u := c.setRefs[name]
	if u.refs--; u.refs > 0 {
		return
	}
	delete(c.setRefs, name)
	c.journal.DeleteSet(name)
	for _, from := range u.selectors {
		c.detach(u, from)
	}
	if u.port != nil {
		left := without(c.named[*u.port], u)
		if c.named[*u.port] = left; len(left) == 0 {
			delete(c.named, *u.port)
		}
	}
}

// add adds addresses that one more selector selects.
func (u *setRef) add(j *nft.Journal, addresses []address) {
	for _, a := range addresses {
		if a.family() != u.family {
			continue
		}
		if u.counts != nil {
			if u.counts[a.Addr]++; u.counts[a.Addr] > 1 {
				continue
			}
		}
		j.SetElement(u.name, a.text, nft.Element{})
	}
}

// remove removes addresses unless another selector selects them too.
func (u *setRef) remove(j *nft.Journal, addresses []address) {
	for _, a := range addresses {
		if a.family() != u.family {
			continue
		}
		if u.counts != nil {
			if u.counts[a.Addr]--; u.counts[a.Addr] > 0 {
				continue
			}
			delete(u.counts, a.Addr)
		}
		j.DeleteElement(u.name, a.text)
	}
}

// addPort adds what a pod's name for a port stands for.
func (u *setRef) addPort(j *nft.Journal, p *Pod, number int32, addresses []address) {
	if u.local && !p.local {
		return
	}
	for _, a := range addresses {
		if a.family() == u.family {
			j.SetElement(u.name, portKey(a, number), nft.Element{})
		}
	}
}

func (u *setRef) removePort(j *nft.Journal, number int32, addresses []address) {
	for _, a := range addresses {
		if a.family() == u.family {
			j.DeleteElement(u.name, portKey(a, number))
		}
	}
}

func portKey(a address, number int32) string { return nft.Key(a.text, strconv.Itoa(int(number))) }

func without(uses []*setRef, one *setRef) []*setRef {
	return slices.DeleteFunc(uses, func(u *setRef) bool { return u == one })
}
