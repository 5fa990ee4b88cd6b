// Package suggest says what to add so that a flow which is denied becomes allowed: a rule of an AppTier
// where one isolates the pod, and else a NetworkPolicy.
//
// What it says has been tried: it is added to a copy of the world, the policies are expanded again,
// and package reach is asked. Nothing of it can be left out.
package suggest

import (
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach"
)

// World is what decides about flows now.
type World struct {
	// Snapshot holds all policies, including the policies of AppTiers.
	Snapshot reach.Snapshot
	// AppTiers are those whose rules may be added to: valid, and of the flow's ends at least.
	AppTiers []*v1alpha1.AppTier
	// Environment is what these AppTiers refer to; its AppTiers may not be nil.
	Environment expand.Environment
	// Internet says that the address at an end of flows represents the internet: an addition is for all of it.
	Internet bool
}

// Addition is something to add.
type Addition struct {
	// AppTier and Path say which list an AppTier's Item is appended to, as in
	// spec.tiers[0].ingress.
	AppTier types.NamespacedName
	Path    string
	// Tier is the name of the tier whose list it is; empty for a new tier.
	Tier string
	// First says that the list is not there yet.
	First bool
	// Item is an IngressRule, an EgressRule or a Tier.
	Item any
	// Policy is a NetworkPolicy to create; then nothing else is set.
	Policy *networkingv1.NetworkPolicy
}

// addTo appends the item to the list of its AppTier that it is for.
func (a Addition) addTo(app *v1alpha1.AppTier) {
	if item, isTier := a.Item.(v1alpha1.Tier); isTier {
		app.Spec.Tiers = append(app.Spec.Tiers, item)
	}
	for i := range app.Spec.Tiers {
		tier := &app.Spec.Tiers[i]
		if tier.Name != a.Tier {
			continue
		}
		switch item := a.Item.(type) {
		case v1alpha1.IngressRule:
			tier.Ingress = append(tier.Ingress, item)
		case v1alpha1.EgressRule:
			tier.Egress = append(tier.Egress, item)
		}
	}
}

// For returns what to add so that the flow is allowed; nothing if it is not denied, or if nothing that
// could be added would allow it.
func For(world World, flow reach.Flow) []Addition {
	result := reach.Allowed(world.Snapshot, flow)
	if result.Verdict != reach.Deny {
		return nil
	}
	q := newQuestion(world, flow, result)
	if len(q.alike()) > 0 {
		return nil
	}
	// A policy for a pod may be one for pods of a tier too, which have its labels and more: if that is
	// refused, they are left out.
	for _, q.sparesTiers = range []bool{false, true} {
		for _, candidates := range []func() []Addition{q.declared, q.undeclared} {
			if additions := q.narrowest(candidates); len(additions) > 0 {
				return numbered(world, additions)
			}
		}
	}
	return nil
}

// narrowest returns the candidates that allow the flow and open the least else; none if none allow it. A pod
// may be in several tiers, and each may stand for its end.
func (q *question) narrowest(candidates func() []Addition) []Addition {
	var best []Addition
	var fewest int
	sources, destinations := orders(q.source.tiers), orders(q.destination.tiers)
	for _, q.source.tiers = range sources {
		for _, q.destination.tiers = range destinations {
			additions := candidates()
			if !q.allows(additions) {
				continue
			}
			additions = q.needed(additions)
			if len(sources)*len(destinations) == 1 {
				return additions
			}
			if opens := len(Opens(q.World, q.With(additions), q.flow)); len(best) == 0 || opens < fewest {
				best, fewest = additions, opens
			}
		}
	}
	return best
}

// orders have each tier first once.
func orders(tiers []tierRef) [][]tierRef {
	if len(tiers) < 2 {
		return [][]tierRef{tiers}
	}
	var out [][]tierRef
	for i := range tiers {
		out = append(out, slices.Concat(tiers[i:i+1], tiers[:i], tiers[i+1:]))
	}
	return out
}

// question is a flow that is denied.
type question struct {
	World
	flow                reach.Flow
	result              reach.Result
	source, destination end
	// sparesTiers has policies select no pods of tiers that their subject is not in.
	sparesTiers bool
}

// halves are the directions that deny the flow.
func (q *question) halves() []half {
	var out []half
	if q.result.Egress.Verdict == reach.Deny {
		out = append(out, half{networkingv1.PolicyTypeEgress, q.source, q.destination, q.result.Egress})
	}
	if q.result.Ingress.Verdict == reach.Deny {
		out = append(out, half{networkingv1.PolicyTypeIngress, q.destination, q.source, q.result.Ingress})
	}
	return out
}

// half is one direction of a flow: the policies of subject decide about other.
type half struct {
	direction      networkingv1.PolicyType
	subject, other end
	decision       reach.Decision
}

// declared are rules of the AppTiers that isolate an end, and policies where none does.
func (q *question) declared() []Addition {
	var out []Addition
	for _, h := range q.halves() {
		for _, a := range q.declaredFor(h) {
			i := slices.IndexFunc(out, a.isForSame)
			switch {
			case i < 0:
				out = append(out, a)
			case !a.isSame(out[i]): // a pod and its like: one new tier for both
				out[i].Item = merged(out[i].Item.(v1alpha1.Tier), a.Item.(v1alpha1.Tier))
			}
		}
	}
	return out
}

// undeclared are policies beside the AppTiers, for what those cannot say.
func (q *question) undeclared() []Addition {
	var out []Addition
	for _, h := range q.halves() {
		out = append(out, q.policyFor(h))
	}
	return out
}

// needed leaves out what the flow is allowed without.
func (q *question) needed(additions []Addition) []Addition {
	for i := 0; i < len(additions); {
		fewer := slices.Delete(slices.Clone(additions), i, i+1)
		if q.allows(fewer) {
			additions = fewer
		} else {
			i++
		}
	}
	return additions
}

// allows tries additions: with them the flow is allowed, and admission refuses nothing.
func (q *question) allows(additions []Addition) bool {
	world, valid := q.with(additions)
	return valid && reach.Allowed(world.Snapshot, q.flow).Verdict == reach.Allow && !q.refuses(additions, world)
}

// refuses says whether a check would refuse what is added, and does not refuse what is there already.
func (q *question) refuses(additions []Addition, changed World) bool {
	before, after := q.judged(), changed.judged()
	for _, app := range changed.AppTiers {
		i := slices.IndexFunc(q.AppTiers, func(a *v1alpha1.AppTier) bool { return kube.NameOf(a) == kube.NameOf(app) })
		if len(rejected(lint.AppTierIn(app, after))) > len(rejected(lint.AppTierIn(q.AppTiers[i], before))) {
			return true
		}
	}
	return slices.ContainsFunc(additions, func(a Addition) bool {
		return a.Policy != nil && len(rejected(lint.NetworkPolicy(a.Policy, after))) > 0
	})
}

func rejected(findings []check.Finding) []check.Finding {
	return check.WithSeverity(findings, check.Reject)
}

// judged is the world as checks see it.
func (w World) judged() world.World {
	whole := !w.Snapshot.PartialNamespaces
	out := world.World{
		Whole: whole, Known: world.Parts{Namespaces: whole, Pods: true, Policies: true},
		Namespaces: w.Snapshot.Namespaces, Pods: w.Snapshot.Pods, AppTiers: w.AppTiers,
	}
	for _, policy := range w.Snapshot.Policies {
		if world.IsGenerated(policy) {
			out.Generated = append(out.Generated, policy)
		} else {
			out.Policies = append(out.Policies, policy)
		}
	}
	return out
}

// With returns the world with what For returned for it, so that more can be asked for.
func (w World) With(additions []Addition) World {
	if changed, valid := w.with(additions); valid {
		return changed
	}
	return w
}

// with returns the world with additions, and whether its AppTiers are valid then. All of them are
// expanded again: one that stays as it is may come to stand for more, when another agrees with it.
func (w World) with(additions []Addition) (World, bool) {
	changed, valid := changedBy(w.AppTiers, additions)
	if !valid {
		return w, false
	}
	w.Environment.AppTiers = maps.Clone(w.Environment.AppTiers)
	for _, app := range changed {
		w.Environment.AppTiers[kube.NameOf(app)] = app
	}
	w.AppTiers = changed
	w.Snapshot.Policies = slices.DeleteFunc(slices.Clone(w.Snapshot.Policies), func(policy *networkingv1.NetworkPolicy) bool {
		return world.IsGenerated(policy) && slices.ContainsFunc(changed, func(app *v1alpha1.AppTier) bool { return isOf(policy, app) })
	})
	for _, app := range changed {
		w.Snapshot.Policies = append(w.Snapshot.Policies, expand.NetworkPolicies(app, w.Environment)...)
	}
	for _, a := range additions {
		if a.Policy != nil {
			w.Snapshot.Policies = append(w.Snapshot.Policies, a.Policy)
		}
	}
	return w, true
}

// changedBy returns copies of the AppTiers with what is added, and whether all of them are valid.
func changedBy(apps []*v1alpha1.AppTier, additions []Addition) (changed []*v1alpha1.AppTier, valid bool) {
	for _, app := range apps {
		app = app.DeepCopy()
		for _, a := range additions {
			if a.Policy == nil && a.AppTier == kube.NameOf(app) {
				a.addTo(app)
			}
		}
		if len(check.WithSeverity(lint.AppTier(app), check.Reject)) > 0 {
			return nil, false
		}
		changed = append(changed, app)
	}
	return changed, true
}

func isOf(policy *networkingv1.NetworkPolicy, app *v1alpha1.AppTier) bool {
	return policy.Namespace == app.Namespace && policy.Labels[v1alpha1.LabelAppTier] == app.Name
}
