package flows

import (
	"cmp"
	"slices"
	"unique"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
)

// mostUnder is of how many policies it is remembered that a pod is under them. A pod under more is held against all
// policies of its namespace again after one of them has changed.
const mostUnder = 100

// knowledge is what policies say about a pod, as it and they were.
type knowledge struct {
	pod      *Pod
	in       *namespace
	revision int
	// under are the policies that select it, by kind and name; nil if they are too many.
	under   []*isolating
	tier    unique.Handle[tierName]
	because map[verdictIn][]connections.PolicyReference
}

// verdictIn is what policies are the reason of.
type verdictIn struct {
	direction compile.Direction
	staged    bool
}

// knowledgeOf returns it as of now.
func (ps *policies) knowledgeOf(who *person) *knowledge {
	in := cmp.Or(ps.namespaces[who.pod.Namespace], ps.none)
	k := who.known
	if k == nil || k.pod != who.pod || k.in != in {
		k = &knowledge{pod: who.pod, in: in}
		ps.holdAgainstAll(k)
		who.known = k
	} else if k.revision != in.revision {
		ps.update(k)
	}
	return k
}

// holdAgainstAll holds a pod against all policies of its namespace.
func (ps *policies) holdAgainstAll(k *knowledge) {
	k.under = []*isolating{}
	for _, p := range k.in.all() {
		if ps.selects(p, k.pod) {
			k.under = append(k.under, p)
		}
	}
	ps.conclude(k)
}

// update holds a pod against those that have changed, if these are known.
func (ps *policies) update(k *knowledge) {
	changes, known := k.in.since(k.revision)
	if !known || k.under == nil {
		ps.holdAgainstAll(k)
		return
	}
	concerned := false
	for _, c := range changes {
		concerned = concerned || c.staged() // which stands for another, whomever it selects
		if at := slices.Index(k.under, c.gone); at >= 0 {
			k.under, concerned = slices.Delete(k.under, at, at+1), true
		}
		if c.come != nil && c.come.policy != nil && ps.selects(c.come, k.pod) {
			at, _ := slices.BinarySearchFunc(k.under, c.come, (*isolating).compare)
			k.under, concerned = slices.Insert(k.under, at, c.come), true
		}
	}
	if k.revision = k.in.revision; concerned {
		ps.conclude(k)
	}
}

func (ps *policies) selects(p *isolating, pod *Pod) bool {
	return ps.isolationOf(p).pods.Matches(pod.Labels)
}

// conclude finds the tier and the reasons.
func (ps *policies) conclude(k *knowledge) {
	var first tierName
	k.because = nil
	for _, p := range k.under {
		if name := (tierName{p.AppTier, p.Tier}); name.appTier != "" && name.tier != "" && (first == tierName{} || name.less(first)) {
			first = name
		}
		for direction, isolates := range ps.isolationOf(p).in {
			if !isolates {
				continue
			}
			if !p.key.staged {
				k.add(verdictIn{direction, false}, p.PolicyReference)
			}
			if !k.in.replaced(p) {
				k.add(verdictIn{direction, true}, p.PolicyReference)
			}
		}
	}
	for of, because := range k.because {
		k.because[of] = limited(because)
	}
	k.tier, k.revision = unique.Make(first), k.in.revision
	if len(k.under) > mostUnder {
		k.under = nil
	}
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
