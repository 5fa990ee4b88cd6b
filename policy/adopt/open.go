package adopt

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// leaveOpen has subjects not isolated in a direction in which their policies allow everything, as far as no other policy
// isolates any of their pods: that is the same, and says what is meant. One direction stays isolated, or a tier would
// say nothing.
func (p *proposal) leaveOpen(subjects []*subject) {
	for _, s := range subjects {
		for _, direction := range []networkingv1.PolicyType{egress, ingress} {
			isBoth := s.isolates[ingress] && s.isolates[egress]
			if isBoth && s.allows[direction][everyone().key].ports.all && !p.isIsolatedByOthers(s, direction) {
				s.isolates[direction], s.allows[direction] = false, allowances{}
			}
		}
	}
}

func (p *proposal) isIsolatedByOthers(s *subject, direction networkingv1.PolicyType) bool {
	own, err := connset.Everything().WhereSelected(connset.Subject, s.selector)
	if err != nil || p.in.isUnjudged(s.namespace) {
		return true
	}
	return slices.ContainsFunc(p.all, func(other *networkingv1.NetworkPolicy) bool {
		if other.Namespace != s.namespace || slices.Contains(s.policies, other) || !kube.Isolates(&other.Spec, direction) {
			return false
		}
		// What cannot be read isolates every pod of its namespace.
		box, err := connset.Everything().WhereSelected(connset.Subject, &other.Spec.PodSelector)
		return err != nil || box.Overlaps(own)
	})
}
