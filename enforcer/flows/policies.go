package flows

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
)

const (
	// mostBecause is how many policies a connection is denied because of, at most.
	mostBecause = 10
	// mostRead is how many policies are kept as they were read.
	mostRead = 20_000
	// mostRecent is how many changes of a namespace's policies are known by themselves.
	mostRecent = 100
)

// policies are those of the cluster. Each is read once after it has changed, where a connection is named for which it may
// matter.
type policies struct {
	namespaces map[string]*namespace
	none       *namespace // has no policies
	read       int        // how many policies are
	changes    int
}

// namespace is the policies of a namespace.
type namespace struct {
	policies map[policyKey]*isolating
	revision int // of the last change
	// recent are the changes after the one with the number from, the latest last.
	recent []change
	from   int
	// order is all of them by kind and name; nil if they have changed.
	order []*isolating
}

// change has one policy in place of another; nil for none.
type change struct {
	revision   int
	gone, come *isolating
}

// isolating is a policy, and whom it isolates.
type isolating struct {
	connections.PolicyReference
	key policyKey
	// policy is nil if this is not the policy any more.
	policy *compile.Policy
	// isolation is nil until somebody asks.
	*isolation
}

// isolation is what is read of a policy.
type isolation struct {
	pods labels.Selector
	in   map[compile.Direction]bool
}

func (c change) staged() bool { return cmp.Or(c.come, c.gone).key.staged }

func newPolicies() *policies {
	return &policies{namespaces: map[string]*namespace{}, none: &namespace{}}
}

// set tells of a policy that is new, or of nil for one that is gone.
func (ps *policies) set(key policyKey, policy *compile.Policy) {
	in := ps.namespaces[key.Namespace]
	if policy == nil && (in == nil || in.policies[key] == nil) {
		return // it came and went
	}
	if in == nil {
		in = &namespace{policies: map[policyKey]*isolating{}}
		ps.namespaces[key.Namespace] = in
	}
	ps.changes++
	c := change{revision: ps.changes, gone: in.policies[key]}
	if c.gone != nil {
		ps.unread(c.gone)
		c.gone.policy = nil
		delete(in.policies, key)
	}
	if policy != nil {
		c.come = newIsolating(key, policy)
		in.policies[key] = c.come
	}
	in.note(c)
	if len(in.policies) == 0 {
		delete(ps.namespaces, key.Namespace)
	}
}

// note remembers a change.
func (in *namespace) note(c change) {
	in.revision, in.order = c.revision, nil
	if len(in.recent) >= 2*mostRecent {
		n := len(in.recent) - mostRecent
		in.from = in.recent[n-1].revision
		in.recent = slices.Delete(in.recent, 0, n)
	}
	in.recent = append(in.recent, c)
}

// since returns the changes after a revision; false if they are not all known.
func (in *namespace) since(revision int) ([]change, bool) {
	if revision < in.from {
		return nil, false
	}
	at := slices.IndexFunc(in.recent, func(c change) bool { return c.revision > revision })
	return in.recent[max(at, 0):], at >= 0
}

func newIsolating(key policyKey, policy *compile.Policy) *isolating {
	p := &isolating{key: key, policy: policy, PolicyReference: connections.PolicyReference{Kind: compile.Kind, Name: key.Name}}
	if key.staged {
		p.Kind = compile.StagedKind
	}
	p.AppTier, p.Tier = policy.Tier()
	return p
}

func (ps *policies) unread(p *isolating) {
	if p.isolation != nil {
		p.isolation = nil
		ps.read--
	}
}

// all returns the policies of a namespace, by kind and name.
func (in *namespace) all() []*isolating {
	if in.order == nil {
		in.order = slices.SortedFunc(maps.Values(in.policies), (*isolating).compare)
	}
	return in.order
}

func (p *isolating) compare(o *isolating) int {
	return cmp.Or(cmp.Compare(p.Kind, o.Kind), cmp.Compare(p.Name, o.Name))
}

// replaced says that a staged policy would stand in a policy's place.
func (in *namespace) replaced(p *isolating) bool {
	return !p.key.staged && in.policies[policyKey{p.key.NamespacedName, true}] != nil
}

// isolationOf reads a policy, if that is not done yet.
func (ps *policies) isolationOf(p *isolating) *isolation {
	if p.isolation == nil {
		if ps.read >= mostRead {
			ps.unreadAll()
		}
		ps.read++
		pods, in := p.policy.Isolation()
		p.isolation = &isolation{pods, in}
	}
	return p.isolation
}

func (ps *policies) unreadAll() {
	for _, in := range ps.namespaces {
		for _, p := range in.policies {
			ps.unread(p)
		}
	}
}
