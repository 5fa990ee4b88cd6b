package flows

import (
	"cmp"
	"slices"
	"unique"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
)

const (
	// mostBecause is how many policies a connection is denied because of, at most.
	mostBecause = 10
	// mostRead is of how many namespaces the policies are kept as they were read.
	mostRead = 1000
)

// policies are those of the cluster. They are read where a connection is named.
type policies struct {
	namespaces map[string]*namespace
	read       int // how many namespaces are
	changes    int
}

// namespace is the policies of a namespace.
type namespace struct {
	enforced, staged map[string]*compile.Policy
	revision         int // of the last change
	isRead           bool
	read             []isolating // by kind and name
}

// isolating is a policy as it was read.
type isolating struct {
	connections.PolicyReference
	pods labels.Selector
	in   map[compile.Direction]bool
	// replaced says that a staged policy would stand in its place.
	replaced bool
}

func newPolicies() *policies { return &policies{namespaces: map[string]*namespace{}} }

// set tells of a policy that is new, or of nil for one that is gone.
func (ps *policies) set(key types.NamespacedName, policy *compile.Policy, staged bool) {
	in := ps.namespaces[key.Namespace]
	if in == nil {
		in = &namespace{enforced: map[string]*compile.Policy{}, staged: map[string]*compile.Policy{}}
		ps.namespaces[key.Namespace] = in
	}
	of := in.enforced
	if staged {
		of = in.staged
	}
	if policy != nil {
		of[key.Name] = policy
	} else {
		delete(of, key.Name)
	}
	ps.changes++
	in.revision = ps.changes
	ps.unread(in)
	if len(in.enforced)+len(in.staged) == 0 {
		delete(ps.namespaces, key.Namespace)
	}
}

func (ps *policies) unread(in *namespace) {
	if in.isRead {
		in.isRead, in.read = false, nil
		ps.read--
	}
}

// of returns the policies of a namespace; nil for none.
func (ps *policies) of(name string) *namespace {
	in := ps.namespaces[name]
	if in == nil || in.isRead {
		return in
	}
	if ps.read >= mostRead {
		for _, other := range ps.namespaces {
			ps.unread(other)
		}
	}
	in.isRead = true
	ps.read++
	add := func(kind string, from map[string]*compile.Policy) {
		for name, p := range from {
			one := isolating{PolicyReference: connections.PolicyReference{Kind: kind, Name: name}}
			one.AppTier, one.Tier = p.Tier()
			one.pods, one.in = p.Isolation()
			one.replaced = kind == compile.Kind && in.staged[name] != nil
			in.read = append(in.read, one)
		}
	}
	add(compile.Kind, in.enforced)
	add(compile.StagedKind, in.staged)
	slices.SortFunc(in.read, func(a, b isolating) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	return in
}

// knowledge is what policies say about a pod, as it and they were.
type knowledge struct {
	pod      *Pod
	revision int
	tier     unique.Handle[tierName]
	because  map[verdictIn][]connections.PolicyReference
}

// verdictIn is what policies are the reason of.
type verdictIn struct {
	direction compile.Direction
	staged    bool
}

// knowledgeOf returns it as of now.
func (ps *policies) knowledgeOf(who *person) *knowledge {
	in := ps.of(who.pod.Namespace)
	revision := 0
	if in != nil {
		revision = in.revision
	}
	if k := who.known; k != nil && k.pod == who.pod && k.revision == revision {
		return k
	}
	k := &knowledge{pod: who.pod, revision: revision, tier: unique.Make(tierName{})}
	who.known = k
	if in != nil {
		k.read(in.read)
	}
	return k
}

// read holds a pod against the policies of its namespace.
func (k *knowledge) read(all []isolating) {
	var first tierName
	for _, p := range all {
		if !p.pods.Matches(k.pod.Labels) {
			continue
		}
		if name := (tierName{p.AppTier, p.Tier}); name.appTier != "" && name.tier != "" && (first == tierName{} || name.less(first)) {
			first = name
		}
		for direction, isolates := range p.in {
			if !isolates {
				continue
			}
			staged := p.Kind == compile.StagedKind
			if !staged {
				k.add(verdictIn{direction, false}, p.PolicyReference)
			}
			if staged || !p.replaced {
				k.add(verdictIn{direction, true}, p.PolicyReference)
			}
		}
	}
	for of, because := range k.because {
		k.because[of] = limited(because)
	}
	k.tier = unique.Make(first)
}

func (n tierName) less(o tierName) bool {
	return cmp.Or(cmp.Compare(n.appTier, o.appTier), cmp.Compare(n.tier, o.tier)) < 0
}

func (k *knowledge) add(to verdictIn, p connections.PolicyReference) {
	if k.because == nil {
		k.because = map[verdictIn][]connections.PolicyReference{}
	}
	k.because[to] = append(k.because[to], p)
}

// limited leaves at most so many as a connection names: staged ones first, which are the ones to look at.
func limited(because []connections.PolicyReference) []connections.PolicyReference {
	if len(because) <= mostBecause {
		return because
	}
	staged := slices.IndexFunc(because, func(p connections.PolicyReference) bool { return p.Kind == compile.StagedKind })
	if staged < 0 {
		return because[:mostBecause:mostBecause]
	}
	of := because[staged:min(len(because), staged+mostBecause)]
	return append(slices.Clone(because[:min(staged, mostBecause-len(of))]), of...)
}
