package compile

import "slices"

// watched is a selector of peers, or the name of a port, and how many addresses it stands for: counted whether or
// not any set is to hold them, so that it is known before.
type watched struct {
	*selector
	port      *naming // of no selector
	addresses int
	by        map[*policy]bool
}

// naming is a name for a port, as pods of this node or any have it.
type naming struct {
	namedPort
	local bool
}

// watch counts what the policy's peers select, each different one once.
func (c *Compiler) watch(p *policy) {
	p.peers = map[*watched]bool{}
	defer func() { c.namespaces[p.namespace].addresses += p.addresses }()
	for _, side := range p.sides {
		for _, r := range side.rules {
			for _, s := range r.peers.selectors {
				w := c.watched[s.text]
				if w == nil {
					w = &watched{selector: s, by: map[*policy]bool{}}
					c.watched[s.text] = w
					c.eachNamespace(s, func(in *namespace) {
						in.watched[w] = true
						w.addresses += in.count(w)
					})
				}
				p.asksFor(w)
			}
			for _, m := range r.ports {
				if m.spec == nil || m.spec.port == nil {
					continue
				}
				name := naming{*m.spec.port, m.spec.local}
				w := c.watchedPorts[name]
				if w == nil {
					w = &watched{selector: &selector{}, port: &name, addresses: c.naming[name], by: map[*policy]bool{}}
					c.watchedPorts[name] = w
				}
				p.asksFor(w)
			}
		}
	}
}

func (p *policy) asksFor(w *watched) {
	if !p.peers[w] {
		p.peers[w], w.by[p] = true, true
		p.addresses += w.addresses
	}
}

// unwatch undoes it.
func (c *Compiler) unwatch(p *policy) {
	for w := range p.peers {
		delete(w.by, p)
		switch {
		case len(w.by) > 0:
		case w.port != nil:
			delete(c.watchedPorts, *w.port)
		default:
			delete(c.watched, w.text)
			c.eachNamespace(w.selector, func(in *namespace) { delete(in.watched, w) })
		}
	}
	if s := c.namespaces[p.namespace]; s != nil {
		s.addresses -= p.addresses
	}
	p.peers, p.addresses = nil, 0
}

// count counts the addresses of a namespace's pods that the selector selects.
func (s *namespace) count(w *watched) int {
	n := 0
	for p := range s.pods {
		if w.pods.Matches(p.labels) {
			n += len(p.addresses)
		}
	}
	return n
}

// countPod counts a pod that came (by is 1) or went (-1).
func (c *Compiler) countPod(p *Pod, by int) {
	c.total += by * len(p.addresses)
	c.countPorts(p, by)
	for w := range c.namespaces[p.namespace].watched {
		if w.pods.Matches(p.labels) {
			c.recount(w, by*len(p.addresses))
		}
	}
}

// countPorts counts a pod that came or went by its names for ports: each address, once for each number.
func (c *Compiler) countPorts(p *Pod, by int) {
	count := func(name naming) {
		n := by * len(p.addresses)
		if c.naming[name] += n; c.naming[name] == 0 {
			delete(c.naming, name)
		}
		if w := c.watchedPorts[name]; w != nil {
			c.recount(w, n)
		}
	}
	for _, port := range p.ports {
		if count(naming{port.namedPort, false}); p.local {
			count(naming{port.namedPort, true})
		}
	}
}

// recount adds to what a selector selects.
func (c *Compiler) recount(w *watched, addresses int) {
	w.addresses += addresses
	changes := func(count *int, by, limit int) bool {
		before := *count
		*count += by
		return before > limit || *count > limit
	}
	var seen []*namespace
	for p := range w.by {
		s := c.namespaces[p.namespace]
		if changes(&p.addresses, addresses, c.within.Policy.Addresses) {
			c.unweighed[s] = true
		}
		if changes(&s.addresses, addresses, c.within.Namespace.Addresses) {
			c.unweighed[s] = true
		}
		if slices.Contains(seen, s) {
			continue
		}
		if seen = append(seen, s); changes(&s.merged, addresses*s.merging.of[w.text], c.within.Namespace.Addresses) {
			c.unmerged[s] = true
		}
	}
}

// watchSpace holds a namespace with other labels against the selectors.
func (c *Compiler) watchSpace(s *namespace) {
	for _, w := range c.watched {
		switch was, is := s.watched[w], w.in(s); {
		case is && !was:
			s.watched[w] = true
			c.recount(w, s.count(w))
		case was && !is:
			delete(s.watched, w)
			c.recount(w, -s.count(w))
		}
	}
}
