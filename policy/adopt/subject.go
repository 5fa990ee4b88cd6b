package adopt

import (
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/connset"
)

// subject is all policies of a namespace that are for the same pods.
type subject struct {
	namespace string
	selector  *metav1.LabelSelector
	// self is its pods, as a peer of the same namespace.
	self     peer
	policies []*networkingv1.NetworkPolicy
	isolates map[networkingv1.PolicyType]bool
	allows   map[networkingv1.PolicyType]allowances
	// numbers are the ports that its policies call by names, and the names.
	numbers map[int32]string
	pods    []Pod
}

// subjectsOf puts policies together that are for the same pods, in the order in which they come.
func (in *Input) subjectsOf(policies []*read) []*subject {
	var out []*subject
	for _, p := range policies {
		self, err := podsPeer(p.policy.Namespace, nil, p.selector)
		if err != nil { // it was read before
			continue
		}
		i := slices.IndexFunc(out, func(s *subject) bool { return s.namespace == p.policy.Namespace && s.self.key == self.key })
		if i < 0 {
			i = len(out)
			out = append(out, &subject{
				namespace: p.policy.Namespace, selector: p.selector, self: self, pods: in.podsOf(self),
				isolates: map[networkingv1.PolicyType]bool{}, numbers: map[int32]string{},
				allows: map[networkingv1.PolicyType]allowances{ingress: {}, egress: {}},
			})
		}
		out[i].add(p)
	}
	return out
}

func (s *subject) add(p *read) {
	s.policies = append(s.policies, p.policy)
	for _, direction := range directions {
		s.isolates[direction] = s.isolates[direction] || p.isolates[direction]
		s.allows[direction] = s.allows[direction].with(p.allows[direction])
	}
	maps.Copy(s.numbers, p.numbers)
}

// seenFrom is its pods as a peer of a policy in a namespace.
func (s *subject) seenFrom(namespace string) peer {
	p, err := podsPeer(namespace, named(s.namespace), s.selector)
	if err != nil { // it was read before
		return peer{}
	}
	return p
}

// overlaps says whether a pod is certain to be one of both: one includes the other, or there is such a pod.
func (s *subject) overlaps(t *subject) bool {
	if s.namespace != t.namespace || !s.self.box.Overlaps(t.self.box) {
		return false
	}
	isOfBoth := func(pod Pod) bool { return t.self.box.Match(connset.Peer, pod.Labels) }
	return s.self.contains(t.self) || t.self.contains(s.self) || slices.ContainsFunc(s.pods, isOfBoth)
}

// commonLabel is the value of a label that its selector asks for, or that all its pods have.
func (s *subject) commonLabel(key string) string {
	if value := s.selector.MatchLabels[key]; value != "" || len(s.pods) == 0 {
		return value
	}
	value := s.pods[0].Labels[key]
	if slices.ContainsFunc(s.pods, func(p Pod) bool { return p.Labels[key] != value }) {
		return ""
	}
	return value
}
