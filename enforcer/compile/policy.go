package compile

import (
	"bytes"
	"cmp"
	"errors"
	"iter"
	"slices"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	apptierv1alpha1 "github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/programmed"
)

// Policy is a NetworkPolicy as it is kept: small, and read only while it matters. It is never modified.
type Policy struct {
	namespace, name string
	uid             types.UID
	created         time.Time
	appTier, tier   unique.Handle[string]
	version         programmed.Version
	cost            budget.Cost
	encoded         []byte // the spec, as Protobuf
	err             error  // why there is none
}

// NewPolicy returns a policy to keep.
func NewPolicy(object *networkingv1.NetworkPolicy) *Policy {
	p := &Policy{
		namespace: object.Namespace, name: object.Name, uid: object.UID,
		created: object.CreationTimestamp.Time, version: programmed.ParseVersion(object.ResourceVersion), cost: budget.Count(&object.Spec),
		appTier: unique.Make(object.Labels[apptierv1alpha1.LabelAppTier]), tier: unique.Make(object.Labels[apptierv1alpha1.LabelTier]),
	}
	p.encoded, p.err = object.Spec.Marshal()
	return p
}

// Key is the policy's name.
func (p *Policy) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: p.namespace, Name: p.name}
}

// Version is the policy's resourceVersion. If it has changed alone, the policy is Equal.
func (p *Policy) Version() programmed.Version { return p.version }

// Equal tells whether two policies of one name differ in nothing.
func (p *Policy) Equal(o *Policy) bool {
	return p.uid == o.uid && p.appTier == o.appTier && p.tier == o.tier && bytes.Equal(p.encoded, o.encoded)
}

// Tier returns the AppTier and the tier that the policy was written for; empty if people wrote it.
func (p *Policy) Tier() (appTier, tier string) { return p.appTier.Value(), p.tier.Value() }

// Isolation reads which pods of its namespace the policy isolates, and in which directions.
func (p *Policy) Isolation() (pods labels.Selector, in map[Direction]bool) {
	read := policy{Policy: p}
	read.parse()
	return read.pods, map[Direction]bool{Ingress: read.sides[Ingress].isolates, Egress: read.sides[Egress].isolates}
}

// The kinds of policies.
const (
	Kind       = "NetworkPolicy"
	StagedKind = "StagedNetworkPolicy"
)

// object is the policy as an event refers to it.
func (p *policy) object() *corev1.ObjectReference {
	o := &corev1.ObjectReference{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: Kind, Namespace: p.namespace, Name: p.name, UID: p.uid}
	if p.staged {
		o.APIVersion, o.Kind = apptierv1alpha1.GroupVersion.String(), StagedKind
	}
	return o
}

// policy is a policy, and what it says while its namespace has pods on this node.
type policy struct {
	*Policy
	in *namespace
	// staged says that it is not enforced.
	staged bool
	// refused is why its rules are left out; nil if they are not.
	refused error
	// excess is why they are left out too: it asks for too much.
	excess error

	pods     labels.Selector
	sides    map[Direction]side
	problems []Problem
	// open says that its rules are read; what is wrong with them is in the rules' problems.
	open          bool
	rulesProblems []Problem
	asked
	// groups are those of pods that it isolates.
	groups map[*group]bool
}

func (p *Policy) String() string { return p.namespace + "/" + p.name }

// String tells a staged policy from the one of the same name that it stands for.
func (p *policy) String() string {
	if p.staged {
		return p.Policy.String() + " (staged)"
	}
	return p.Policy.String()
}

// directions are those in which pods may be under the policy.
func (p *policy) directions() []Direction {
	if p.staged {
		return stagedDirections
	}
	return directions
}

// namespace is a namespace that has policies, or pods on this node.
type namespace struct {
	name     string
	locals   map[*ipset.Pod]bool // pods of this node
	policies map[string]*policy
	// staged are those that are not enforced.
	staged map[string]*policy

	// addresses is how many the peers of its policies select, each peer counted once for each policy.
	addresses int
	// merging is what the groups of its pods have copied, and merged how much that is; plain says that it is too
	// much, and so is not.
	merging merging
	merged  int
	plain   bool
}

// policies are those of all namespaces, read where pods of this node are under them.
type policies struct {
	namespaces map[string]*namespace
	staged     int // how many are
	// troubled are the policies that have problems.
	troubled map[*policy]bool
	locals   *locals
	groups   *groups
	budgets  *budgets
}

// namespaceOf returns the namespace of a name, and makes it if need be.
func (ps *policies) namespaceOf(name string) *namespace {
	s := ps.namespaces[name]
	if s == nil {
		s = &namespace{name: name, locals: map[*ipset.Pod]bool{}, policies: map[string]*policy{}, staged: map[string]*policy{}}
		ps.namespaces[name] = s
	}
	return s
}

// collectGarbage forgets a namespace that nothing is known of any more.
func (ps *policies) collectGarbage(name string) {
	if s := ps.namespaces[name]; s != nil && len(s.locals)+len(s.policies)+len(s.staged) == 0 {
		delete(ps.namespaces, name)
	}
}

// SetPolicy tells of a policy that came or changed. One that was refused gets another chance.
func (c *Compiler) SetPolicy(object *networkingv1.NetworkPolicy) { c.PutPolicy(NewPolicy(object)) }

// PutPolicy tells of one that was read before.
func (c *Compiler) PutPolicy(kept *Policy) {
	s := c.policies.namespaceOf(kept.namespace)
	p := s.policies[kept.name]
	if p == nil {
		p = &policy{in: s}
		s.policies[kept.name] = p
	}
	p.Policy, p.refused = kept, nil
	c.policies.reread(s, p)
}

// DeletePolicy tells of a policy that is gone.
func (c *Compiler) DeletePolicy(namespace, name string) {
	s := c.policies.namespaces[namespace]
	if s == nil || s.policies[name] == nil {
		return
	}
	p := s.policies[name]
	delete(s.policies, name)
	c.budgets.unweighed[s] = true
	c.policies.forget(p)
	for pod := range s.locals {
		c.policies.match(pod, p)
	}
	c.policies.collectGarbage(namespace)
}

// SetStaged tells of a policy that is not enforced, and came or changed. One that was refused gets another chance.
func (c *Compiler) SetStaged(object *networkingv1.NetworkPolicy) { c.PutStaged(NewPolicy(object)) }

// PutStaged tells of one that was read before.
func (c *Compiler) PutStaged(kept *Policy) {
	s := c.policies.namespaceOf(kept.namespace)
	p := s.staged[kept.name]
	if p == nil {
		p = &policy{in: s, staged: true}
		s.staged[kept.name] = p
		c.stage(s, 1)
	}
	p.Policy, p.refused = kept, nil
	c.policies.reread(s, p)
}

// DeleteStaged tells of a policy that was not enforced, and is gone.
func (c *Compiler) DeleteStaged(namespace, name string) {
	s := c.policies.namespaces[namespace]
	if s == nil || s.staged[name] == nil {
		return
	}
	p := s.staged[name]
	delete(s.staged, name)
	c.stage(s, -1)
	c.budgets.unweighed[s] = true
	c.policies.forget(p)
	for pod := range s.locals {
		c.policies.match(pod, p)
	}
	c.policies.collectGarbage(namespace)
}

// stage counts staged policies: with the first of them, packets are led to what asks them. The policies of the same
// names count no more, or again, in what the namespace would have.
func (c *Compiler) stage(s *namespace, more int) {
	was := c.policies.staged > 0
	c.policies.staged += more
	if is := c.policies.staged > 0; is != was {
		judge := c.tracker.Table().Chains[judgeChain]
		judge.Rules = judgeRules(c.shape, is)
		c.tracker.SetChain(judgeChain, judge)
	}
	for pod := range s.locals {
		c.locals.moved[pod] = true
	}
}

// Refuse leaves the rules of a policy out: it isolates the pods that it selects, and allows nothing.
// That is reported with the error, as long as the policy is not set again. Without an error the rules
// count again.
func (c *Compiler) Refuse(namespace, name string, err error) {
	if s := c.policies.namespaces[namespace]; s != nil {
		c.policies.refuse(s, s.policies[name], err)
	}
}

// ErrTrial is why a staged policy's rules are left out for a trial, without more.
var ErrTrial = errors.New("its rules are left out for a trial")

// RefuseStaged does so with one that is not enforced. The staged policies of the pods that it selects are not asked then,
// unless that is but for a trial.
func (c *Compiler) RefuseStaged(namespace, name string, err error) {
	if s := c.policies.namespaces[namespace]; s != nil {
		c.policies.refuse(s, s.staged[name], err)
	}
}

func (ps *policies) refuse(s *namespace, p *policy, err error) {
	if p == nil || p.refused == err { //nolint:errorlint // the very same
		return
	}
	p.refused = err
	ps.reread(s, p)
}

// reread reads a policy of a namespace with pods on this node, and finds the pods that it isolates.
func (ps *policies) reread(s *namespace, p *policy) {
	if len(s.locals) == 0 {
		return
	}
	ps.read(s, p)
	for pod := range s.locals {
		ps.match(pod, p)
	}
}

// readAll reads the policies of a namespace that has its first pod on this node.
func (ps *policies) readAll(s *namespace) {
	for p := range s.all() {
		ps.read(s, p)
	}
}

// all are its policies, staged or not.
func (s *namespace) all() iter.Seq[*policy] {
	return func(yield func(*policy) bool) {
		for _, of := range []map[string]*policy{s.policies, s.staged} {
			for _, p := range of {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// forgetAll forgets what they say after the last.
func (ps *policies) forgetAll(s *namespace) {
	for p := range s.all() {
		ps.forget(p)
	}
}

// read reads whom the policy isolates. Its rules wait until all policies of the namespace are weighed.
func (ps *policies) read(s *namespace, p *policy) {
	ps.forgetRules(p)
	p.parse()
	ps.rewrite(p)
	ps.budgets.unweighed[s] = true
}

// forget leaves of a policy what is kept while nobody is under it.
func (ps *policies) forget(p *policy) {
	ps.forgetRules(p)
	p.pods, p.sides, p.problems, p.excess = nil, nil, nil, nil
	delete(ps.troubled, p)
}

// readRules reads the policy's rules, if they are not read yet.
func (ps *policies) readRules(p *policy) {
	if p.open {
		return
	}
	p.open = true
	p.parseRules()
	ps.budgets.count(p)
	ps.rewrite(p)
}

// forgetRules forgets them.
func (ps *policies) forgetRules(p *policy) {
	if !p.open {
		return
	}
	ps.budgets.stopCount(p)
	p.open, p.rulesProblems = false, nil
	for direction, side := range p.sides {
		p.sides[direction] = side.withoutRules()
	}
	ps.rewrite(p)
}

// allProblems are those of the policy, its rules and what it asks for.
func (p *policy) allProblems() []Problem {
	all := slices.Concat(p.problems, p.rulesProblems)
	if p.excess != nil {
		all = append(all, p.problem("spec", p.excess))
	}
	return all
}

// match puts a pod of this node under the policy, or takes it out.
func (ps *policies) match(pod *ipset.Pod, p *policy) {
	l := ps.locals.pods[pod]
	for _, direction := range p.directions() {
		under := l.under[direction]
		at, was := slices.BinarySearchFunc(under, p, func(a, b *policy) int { return cmp.Compare(a.name, b.name) })
		is := p.sides[direction.half()].isolates && p.pods.Matches(pod.Labels)
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
		ps.locals.moved[pod] = true
	}
}
