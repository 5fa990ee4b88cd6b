package adopt

import (
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
)

// proposal is one way to say what policies say.
type proposal struct {
	in     *Input
	all    []*networkingv1.NetworkPolicy
	drafts []*draft
	apps   []*v1alpha1.AppTier // of each draft
	stays  map[types.NamespacedName]string
	read   map[types.NamespacedName]*read
	// narrowed are the namespaces in which peers are less than they were.
	narrowed map[string]bool
}

// propose says what can be said, but for the policies that are kept.
func (in *Input) propose(kept map[types.NamespacedName]string) *proposal {
	p := &proposal{in: in, all: slices.Concat(in.Policies, in.Beside), stays: maps.Clone(kept), read: map[types.NamespacedName]*read{}}
	p.narrowed = map[string]bool{}
	every, some := map[string][]*read{}, map[string][]*read{}
	for _, policy := range in.Policies {
		if kept[kube.NameOf(policy)] != "" {
			continue
		}
		of, err := reader{in}.read(policy)
		p.read[kube.NameOf(policy)] = of
		switch {
		case err != nil:
			p.stay(policy, err.Error())
		case isEmptySelector(of.selector):
			every[policy.Namespace] = append(every[policy.Namespace], of)
		default:
			some[policy.Namespace] = append(some[policy.Namespace], of)
		}
	}
	namespaces := map[string]bool{}
	for _, policy := range in.Policies {
		namespaces[policy.Namespace] = true
	}
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		subjects := in.subjectsOf(some[namespace])
		p.leaveOpen(subjects)
		if in.Narrow {
			p.narrow(subjects)
		}
		p.drafts = append(p.drafts, in.drafts(namespace, p.everyPodOf(every[namespace], subjects), subjects)...)
	}
	p.write()
	return p
}

// write says what the tiers declare, with the way to resolve names that makes the AppTier shortest.
func (p *proposal) write() {
	for _, d := range p.drafts {
		for _, t := range d.tiers {
			t.start()
		}
	}
	for _, d := range p.drafts {
		p.fold(d)
	}
	agree(p.drafts)
	for _, d := range p.drafts {
		var shortest *v1alpha1.AppTier
		before := d.left()
		for _, candidate := range p.in.resolversOf(d) {
			d.dns = candidate.dns
			for i, t := range d.tiers {
				t.left = map[networkingv1.PolicyType]allowances{ingress: before[i][ingress].with(nil), egress: before[i][egress].with(nil)}
				t.settle(candidate)
			}
			d.share()
			if app := p.in.write(d); shortest == nil || weight(app) < weight(shortest) {
				shortest = app
			}
		}
		p.apps = append(p.apps, shortest)
	}
}

// left are the allowances of each tier that nothing else says yet.
func (d *draft) left() []map[networkingv1.PolicyType]allowances {
	var out []map[networkingv1.PolicyType]allowances
	for _, t := range d.tiers {
		out = append(out, t.left)
	}
	return out
}

func (p *proposal) stay(policy *networkingv1.NetworkPolicy, reason string) {
	p.stays[kube.NameOf(policy)] = reason
}

func (p *proposal) stayAll(policies []*read, reason string) {
	for _, of := range policies {
		p.stay(of.policy, reason)
	}
}

// result is the result of the proposal.
func (p *proposal) result() Result {
	out := Result{AppTiers: p.apps}
	env := p.in.Environment
	env.AppTiers = maps.Clone(env.AppTiers)
	if env.AppTiers == nil {
		env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	}
	for _, app := range p.apps {
		env.AppTiers[types.NamespacedName{Namespace: app.Namespace, Name: app.Name}] = app
	}
	for _, app := range p.apps {
		out.Policies = append(out.Policies, expand.NetworkPolicies(app, env)...)
	}
	for _, policy := range p.in.Policies {
		if reason := p.stays[kube.NameOf(policy)]; reason != "" {
			out.Stays = append(out.Stays, Stay{policy, reason})
			continue
		}
		d, t := p.saying(policy)
		adopted := Adopted{Policy: policy, Numbers: p.read[kube.NameOf(policy)].numbers}
		adopted.AppTier = types.NamespacedName{Namespace: d.namespace, Name: d.name}
		if t != nil {
			adopted.Tier = t.name
		}
		out.Adopted = append(out.Adopted, adopted)
	}
	return out
}

// saying is the draft that says what a policy does, and which of its tiers; none if it is for every pod.
func (p *proposal) saying(policy *networkingv1.NetworkPolicy) (*draft, *tier) {
	for _, d := range p.drafts {
		if d.every != nil && slices.Contains(d.every.policies, policy) {
			return d, nil
		}
		for _, t := range d.tiers {
			if slices.Contains(t.policies, policy) {
				return d, t
			}
		}
	}
	return &draft{}, nil
}

// referredTo are the AppTiers that those which are there refer to, and that may not be there.
func (in *Input) referredTo() []types.NamespacedName {
	return model.ReferencesOf(in.AppTiers...).AppTiers
}
