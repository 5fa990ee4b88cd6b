package compile

import (
	"bytes"
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Policy is a NetworkPolicy as it is kept: small, and read only while it matters. It is never modified.
type Policy struct {
	namespace, name string
	uid             types.UID
	spec            []byte // Protobuf
	err             error  // why there is none
}

// NewPolicy returns a policy to keep.
func NewPolicy(object *networkingv1.NetworkPolicy) *Policy {
	p := &Policy{namespace: object.Namespace, name: object.Name, uid: object.UID}
	p.spec, p.err = object.Spec.Marshal()
	return p
}

// Key is the policy's name.
func (p *Policy) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: p.namespace, Name: p.name}
}

// Equal tells whether two policies of one name differ in nothing.
func (p *Policy) Equal(o *Policy) bool { return p.uid == o.uid && bytes.Equal(p.spec, o.spec) }

// object is the policy as far as an event refers to it.
func (p *Policy) object() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.name, UID: p.uid}}
}

// policy is a policy, and what it says while its namespace has pods on this node.
type policy struct {
	*Policy
	// refused is why its rules are left out; nil if they are not.
	refused error

	pods     labels.Selector
	sides    map[Direction]side
	problems []Problem
	// groups are those of pods that it isolates.
	groups map[*group]bool
}

func (p *Policy) String() string { return p.namespace + "/" + p.name }

// SetPolicy tells of a policy that came or changed. One that was refused gets another chance.
func (c *Compiler) SetPolicy(object *networkingv1.NetworkPolicy) { c.PutPolicy(NewPolicy(object)) }

// PutPolicy does the same.
func (c *Compiler) PutPolicy(kept *Policy) {
	s := c.space(kept.namespace)
	p := s.policies[kept.name]
	if p == nil {
		p = &policy{}
		s.policies[kept.name] = p
	}
	p.Policy, p.refused = kept, nil
	c.reread(s, p)
}

// DeletePolicy tells of a policy that is gone.
func (c *Compiler) DeletePolicy(namespace, name string) {
	s := c.spaces[namespace]
	if s == nil || s.policies[name] == nil {
		return
	}
	p := s.policies[name]
	delete(s.policies, name)
	c.unread(p)
	for pod := range s.locals {
		c.submit(pod, p)
	}
	c.tidy(namespace)
}

// Refuse leaves the rules of a policy out: it isolates the pods that it selects, and allows nothing.
// That is reported with the error, as long as the policy is not set again. Without an error the rules
// count again.
func (c *Compiler) Refuse(namespace, name string, err error) {
	s := c.spaces[namespace]
	if s == nil || s.policies[name] == nil || s.policies[name].refused == err { //nolint:errorlint // the very same
		return
	}
	s.policies[name].refused = err
	c.reread(s, s.policies[name])
}

// reread reads a policy of a namespace with pods on this node, and finds the pods that it isolates.
func (c *Compiler) reread(s *space, p *policy) {
	if len(s.locals) == 0 {
		return
	}
	c.read(p)
	for g := range p.groups {
		g.changed, c.stale[g] = true, true
	}
	for pod := range s.locals {
		c.submit(pod, p)
	}
}

// readAll reads the policies of a namespace that has its first pod on this node.
func (c *Compiler) readAll(s *space) {
	for _, p := range s.policies {
		c.read(p)
	}
}

// unreadAll forgets what they say after the last.
func (c *Compiler) unreadAll(s *space) {
	for _, p := range s.policies {
		c.unread(p)
	}
}

func (c *Compiler) read(p *policy) {
	p.parse()
	if len(p.problems) > 0 {
		c.troubled[p] = true
	} else {
		delete(c.troubled, p)
	}
}

func (c *Compiler) unread(p *policy) {
	p.pods, p.sides, p.problems = nil, nil, nil
	delete(c.troubled, p)
}

// submit puts a pod of this node under the policy, or takes it out.
func (c *Compiler) submit(pod *Pod, p *policy) {
	l := c.locals[pod]
	for _, direction := range directions {
		under := l.under[direction]
		at, was := slices.BinarySearchFunc(under, p, func(a, b *policy) int { return cmp.Compare(a.name, b.name) })
		is := p.sides[direction].isolates && p.pods.Matches(pod.labels)
		switch {
		case is && !was:
			l.under[direction] = slices.Insert(under, at, p)
		case was && !is:
			l.under[direction] = slices.Delete(under, at, at+1)
		case was && under[at] != p:
			under[at] = p
		default:
			continue
		}
		c.moved[pod] = true
	}
}
