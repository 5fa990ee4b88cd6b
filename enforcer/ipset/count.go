package ipset

// Count is the number of addresses that a selector or a port name matches. It is kept whether or not any set is
// to hold them, so that it is known before.
type Count struct {
	selector  *Selector // nil of a port
	port      PortRef
	addresses int
	changed   func(by int)
}

// Addresses is how many addresses there are now.
func (c *Count) Addresses() int { return c.addresses }

func (c *Count) add(addresses int) {
	c.addresses += addresses
	c.changed(addresses)
}

// counts counts the addresses of pods.
type counts struct {
	// total counts the addresses of all pods, each as often as a pod claims it.
	total     int
	selectors map[*Count]bool
	// names is how many addresses pods have that name a port, for each number once, and ports are those of these
	// names that are counted for somebody.
	names map[PortRef]int
	ports map[PortRef]*Count
}

// Total is how many addresses all pods have.
func (x *Index) Total() int { return x.counts.total }

// Count counts what a selector selects. It says by how much that changes from then on.
func (x *Index) Count(s *Selector, changed func(by int)) *Count {
	c := &Count{selector: s, changed: changed}
	x.counts.selectors[c] = true
	x.eachNamespace(s, func(in *namespace) {
		in.counts[c] = true
		c.addresses += in.count(c)
	})
	return c
}

// CountPort does so with the addresses of pods that name a port, which must not be counted yet.
func (x *Index) CountPort(port PortRef, changed func(by int)) *Count {
	c := &Count{port: port, addresses: x.counts.names[port], changed: changed}
	x.counts.ports[port] = c
	return c
}

// StopCount ends what Count or CountPort began.
func (x *Index) StopCount(c *Count) {
	if c.selector == nil {
		delete(x.counts.ports, c.port)
		return
	}
	delete(x.counts.selectors, c)
	x.eachNamespace(c.selector, func(in *namespace) { delete(in.counts, c) })
}

// count counts the addresses of a namespace's pods that the selector selects.
func (n *namespace) count(c *Count) int {
	total := 0
	for p := range n.pods {
		if c.selector.Pods.Matches(p.Labels) {
			total += len(p.Addresses)
		}
	}
	return total
}

// countPod counts a pod that came (by is 1) or went (-1).
func (x *Index) countPod(p *Pod, by int) {
	x.counts.total += by * len(p.Addresses)
	x.counts.countPorts(p, by)
	for c := range x.namespaces[p.Namespace].counts {
		if c.selector.Pods.Matches(p.Labels) {
			c.add(by * len(p.Addresses))
		}
	}
}

// countPorts counts a pod that came or went by its names for ports.
func (c counts) countPorts(p *Pod, by int) {
	count := func(port PortRef) {
		n := by * len(p.Addresses)
		if c.names[port] += n; c.names[port] == 0 {
			delete(c.names, port)
		}
		if counted := c.ports[port]; counted != nil {
			counted.add(n)
		}
	}
	for _, port := range p.Ports {
		if count(PortRef{port.NamedPort, false}); p.Local {
			count(PortRef{port.NamedPort, true})
		}
	}
}

// relabel holds a namespace with other labels against the selectors that are counted.
func (c counts) relabel(in *namespace) {
	for counted := range c.selectors {
		switch was, is := in.counts[counted], counted.selector.in(in); {
		case is && !was:
			in.counts[counted] = true
			counted.add(in.count(counted))
		case was && !is:
			delete(in.counts, counted)
			counted.add(-in.count(counted))
		}
	}
}
