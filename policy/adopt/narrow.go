package adopt

import "slices"

// narrow has a peer be a tier, where all pods that are given and that it is about are the tier's: what it allows others
// of its labels is closed then.
func (p *proposal) narrow(subjects []*subject) {
	for _, s := range subjects {
		for _, direction := range directions {
			for _, one := range s.allows[direction].sorted() {
				if to := p.tierOf(one.peer, subjects); to != nil {
					s.allows[direction].remove(one.peer, ports{all: true})
					s.allows[direction].add(to.self, one.ports)
					p.narrowed[s.namespace] = true
				}
			}
		}
	}
}

// tierOf is the subject of all pods of a peer; nil if there is none, or if it is that already.
func (p *proposal) tierOf(of peer, subjects []*subject) *subject {
	if of.pods == nil || of.namespaces != nil || isEmptySelector(of.pods) {
		return nil
	}
	pods := p.in.podsOf(of)
	i := slices.IndexFunc(subjects, func(s *subject) bool {
		isOf := func(pod Pod) bool {
			return slices.ContainsFunc(s.pods, func(own Pod) bool { return own.Pod == pod.Pod })
		}
		return s.self.key != of.key && of.contains(s.self) && !slices.ContainsFunc(pods, func(pod Pod) bool { return !isOf(pod) })
	})
	if i < 0 || len(pods) == 0 {
		return nil
	}
	return subjects[i]
}
