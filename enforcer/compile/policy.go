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

// Policy is a NetworkPolicy in a compact form. The compiler decodes its spec only while it needs it. A Policy is
// immutable.
type Policy struct {
	namespace, name string
	uid             types.UID
	created         time.Time
	appTier, tier   unique.Handle[string]
	version         programmed.Version
	cost            budget.Cost
	encoded         []byte // the spec as Protobuf
	err             error  // why the spec could not be encoded
}

// NewPolicy encodes a NetworkPolicy.
func NewPolicy(object *networkingv1.NetworkPolicy) *Policy {
	p := &Policy{
		namespace: object.Namespace, name: object.Name, uid: object.UID,
		created: object.CreationTimestamp.Time, version: programmed.ParseVersion(object.ResourceVersion), cost: budget.Count(&object.Spec),
		appTier: unique.Make(object.Labels[apptierv1alpha1.LabelAppTier]), tier: unique.Make(object.Labels[apptierv1alpha1.LabelTier]),
	}
	p.encoded, p.err = object.Spec.Marshal()
	return p
}

// Key returns the namespace and name of the policy.
func (p *Policy) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: p.namespace, Name: p.name}
}

// Version returns the policy's resourceVersion. Two policies that differ in it alone are Equal.
func (p *Policy) Version() programmed.Version { return p.version }

// Equal reports whether two policies of one name have the same UID, tier and spec.
func (p *Policy) Equal(o *Policy) bool {
	return p.uid == o.uid && p.appTier == o.appTier && p.tier == o.tier && bytes.Equal(p.encoded, o.encoded)
}

// Tier returns the AppTier and the tier that the policy was generated from. Both are empty for a hand-written policy.
func (p *Policy) Tier() (appTier, tier string) { return p.appTier.Value(), p.tier.Value() }

// Isolation decodes which pods of its namespace the policy selects, and in which directions it isolates them.
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

// object returns the reference to the policy for an Event.
func (p *policy) object() *corev1.ObjectReference {
	o := &corev1.ObjectReference{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: Kind, Namespace: p.namespace, Name: p.name, UID: p.uid}
	if p.staged {
		o.APIVersion, o.Kind = apptierv1alpha1.GroupVersion.String(), StagedKind
	}
	return o
}

// policy is a Policy together with its decoded spec. The spec is decoded while the namespace has pods on this node.
type policy struct {
	*Policy
	in *namespace
	// staged is true for a StagedNetworkPolicy, which is not enforced.
	staged bool
	// refused is set by Refuse. The rules are not compiled while it is set.
	refused error
	// excess says which budget the policy exceeds. The rules are not compiled while it is set.
	excess error

	pods     labels.Selector
	sides    map[Direction]side
	problems []Problem
	// open is true while the rules are parsed. rulesProblems are the errors found while parsing them.
	open          bool
	rulesProblems []Problem
	asked
	// groups are the groups of pods that the policy isolates.
	groups map[*group]bool
}

func (p *Policy) String() string { return p.namespace + "/" + p.name }

// String returns the namespace and name. It marks a staged policy, since a NetworkPolicy may have the same name.
func (p *policy) String() string {
	if p.staged {
		return p.Policy.String() + " (staged)"
	}
	return p.Policy.String()
}

// directions returns the directions in which the policy can isolate pods.
func (p *policy) directions() []Direction {
	if p.staged {
		return stagedDirections
	}
	return directions
}

// namespace is a namespace that has policies, or pods on this node.
type namespace struct {
	name     string
	locals   map[*ipset.Pod]bool // pods on this node
	policies map[string]*policy
	// staged are the staged policies, by name.
	staged map[string]*policy

	// addresses counts the addresses that the peers of the policies select. A peer counts once for each policy.
	addresses int
	// merging describes the addresses that the groups of the namespace copy into merged sets, and merged is their
	// cost. plain is true while merged exceeds the budget; the groups then do not merge.
	merging merging
	merged  int
	plain   bool
}

// policies holds the policies of all namespaces. It decodes those of namespaces that have pods on this node.
type policies struct {
	namespaces map[string]*namespace
	staged     int // number of staged policies
	// troubled are the policies that have problems to report.
	troubled map[*policy]bool
	locals   *locals
	groups   *groups
	budgets  *budgets
}

// namespaceOf returns the namespace with the given name, and creates it if it does not exist.
func (ps *policies) namespaceOf(name string) *namespace {
	s := ps.namespaces[name]
	if s == nil {
		s = &namespace{name: name, locals: map[*ipset.Pod]bool{}, policies: map[string]*policy{}, staged: map[string]*policy{}}
		ps.namespaces[name] = s
	}
	return s
}

// collectGarbage deletes a namespace that has neither policies nor pods on this node.
func (ps *policies) collectGarbage(name string) {
	if s := ps.namespaces[name]; s != nil && len(s.locals)+len(s.policies)+len(s.staged) == 0 {
		delete(ps.namespaces, name)
	}
}

// SetPolicy adds or updates a NetworkPolicy. It clears an earlier Refuse.
func (c *Compiler) SetPolicy(object *networkingv1.NetworkPolicy) { c.PutPolicy(NewPolicy(object)) }

// PutPolicy is SetPolicy for a policy that is already encoded.
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

// DeletePolicy removes a NetworkPolicy.
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

// SetStaged adds or updates a staged policy. It clears an earlier RefuseStaged.
func (c *Compiler) SetStaged(object *networkingv1.NetworkPolicy) { c.PutStaged(NewPolicy(object)) }

// PutStaged is SetStaged for a policy that is already encoded.
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

// DeleteStaged removes a staged policy.
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

// stage adds more to the number of staged policies. The chain judge jumps to the staged policies only while there are
// any. All pods of the namespace are regrouped: a staged policy replaces the NetworkPolicy of the same name in the
// staged groups.
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

// Refuse stops compiling the rules of a policy. The policy still isolates the pods that it selects, and allows nothing.
// The error is reported as a problem of the policy until the policy is set again. A nil error restores the rules.
func (c *Compiler) Refuse(namespace, name string, err error) {
	if s := c.policies.namespaces[namespace]; s != nil {
		c.policies.refuse(s, s.policies[name], err)
	}
}

// ErrTrial is the error for RefuseStaged when the caller only tries whether the ruleset fits without the policy.
var ErrTrial = errors.New("its rules are left out for a trial")

// RefuseStaged is Refuse for a staged policy. The groups that contain the policy are then not evaluated at all, since
// the result would be wrong. With ErrTrial they still are.
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

// reread decodes a policy and matches it with the pods of its namespace. It does nothing without pods on this node.
func (ps *policies) reread(s *namespace, p *policy) {
	if len(s.locals) == 0 {
		return
	}
	ps.read(s, p)
	for pod := range s.locals {
		ps.match(pod, p)
	}
}

// readAll decodes the policies of a namespace when its first pod appears on this node.
func (ps *policies) readAll(s *namespace) {
	for p := range s.all() {
		ps.read(s, p)
	}
}

// all iterates over the policies of the namespace, enforced and staged.
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

// forgetAll drops the decoded specs of a namespace when its last pod has left this node.
func (ps *policies) forgetAll(s *namespace) {
	for p := range s.all() {
		ps.forget(p)
	}
}

// read decodes which pods the policy isolates. weigh decides later, for all policies of the namespace, whose rules are
// parsed.
func (ps *policies) read(s *namespace, p *policy) {
	ps.forgetRules(p)
	p.parse()
	ps.rewrite(p)
	ps.budgets.unweighed[s] = true
}

// forget drops the decoded spec of a policy.
func (ps *policies) forget(p *policy) {
	ps.forgetRules(p)
	p.pods, p.sides, p.problems, p.excess = nil, nil, nil, nil
	delete(ps.troubled, p)
}

// readRules parses the rules of a policy, unless they are parsed already.
func (ps *policies) readRules(p *policy) {
	if p.open {
		return
	}
	p.open = true
	p.parseRules()
	ps.budgets.count(p)
	ps.rewrite(p)
}

// forgetRules drops the parsed rules of a policy.
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

// allProblems returns the problems of the policy, of its rules, and of its budget.
func (p *policy) allProblems() []Problem {
	all := slices.Concat(p.problems, p.rulesProblems)
	if p.excess != nil {
		all = append(all, p.problem("spec", p.excess))
	}
	return all
}

// match adds the policy to those that isolate a pod of this node, or removes it from them.
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
