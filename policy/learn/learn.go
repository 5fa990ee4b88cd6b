package learn

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/adopt"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// learning is what is learned, under way.
type learning struct {
	in       *Input
	out      Result
	resolver *resolver
	// env is the environment, with nodes and the API server as they were seen.
	env expand.Environment
	// apps are all AppTiers: those that were there, as they are to be, and the new ones.
	apps []*v1alpha1.AppTier
	// tiers are those of each workload, as far as they were asked for.
	tiers map[*workload][]tierOf
	// left is where in the result what is left out is; while flows are read, by all but how often it was seen.
	left map[LeftOut]int
	// hosts are the AppTiers that new tiers of a namespace are added to.
	hosts map[string]*v1alpha1.AppTier
}

// Learn returns AppTiers that allow the connections of the input, beside those that are there.
func Learn(ctx context.Context, in Input) (Result, error) {
	l := &learning{in: &in, resolver: newResolver(&in), tiers: map[*workload][]tierOf{}, left: map[LeftOut]int{}}
	l.out.Changed = map[types.NamespacedName]bool{}
	flows := l.fold(l.flows())
	l.env = environmentOf(in.Environment, flows)
	l.resolver.workloads.choose()
	flows = l.doubt(flows)
	for _, app := range in.AppTiers {
		l.apps = append(l.apps, app.DeepCopy())
	}
	l.findHosts()
	before, err := l.missing(ctx, flows)
	if err != nil {
		return l.out, err
	}
	l.countDeclared(flows, before)
	if err := l.found(ctx, flows); err != nil {
		return l.out, err
	}
	halves, err := l.missing(ctx, flows)
	if err != nil {
		return l.out, err
	}
	for _, byName := range []bool{true, false} {
		l.extend(halves, byName)
		if halves, err = l.missing(ctx, flows); err != nil {
			return l.out, err
		}
	}
	for _, h := range halves {
		l.leaveOutFlow(h.flow, "no AppTier can declare it")
	}
	l.collect(flows)
	return l.out, nil
}

// environmentOf is an environment with the nodes and the API server that were seen, where it does not know them.
func environmentOf(env expand.Environment, flows []*flow) expand.Environment {
	env.Nodes, env.APIServer.Endpoints = slices.Clone(env.Nodes), slices.Clone(env.APIServer.Endpoints)
	knowsAPIServer := len(env.APIServer.Endpoints)+len(env.APIServer.Service.Addresses) > 0
	for _, f := range flows {
		for address := range f.addresses {
			switch {
			case f.from.is == Nodes || f.to.is == Nodes:
				env.Nodes = append(env.Nodes, address)
			case f.from.is == APIServer && !knowsAPIServer:
				env.APIServer.Endpoints = append(env.APIServer.Endpoints, expand.Listener{Addresses: []netip.Addr{address}})
			case f.to.is == APIServer && !knowsAPIServer:
				ports := []model.Port{{Protocol: f.protocol, Start: f.port}}
				env.APIServer.Endpoints = append(env.APIServer.Endpoints, expand.Listener{Addresses: []netip.Addr{address}, Ports: ports})
			}
		}
	}
	return env
}

// isLearned says whether AppTiers are learned for a party.
func (l *learning) isLearned(p party) bool {
	return p.workload != nil && p.selector != nil && (l.in.Learns == nil || l.in.Learns(p.namespace))
}

// doubt marks what was seen too seldom, or leaves it out. What is about no namespace that is learned is dropped.
func (l *learning) doubt(flows []*flow) []*flow {
	var out []*flow
	for _, f := range flows {
		if !l.isLearned(f.from) && !l.isLearned(f.to) {
			continue
		}
		for _, p := range []party{f.from, f.to} {
			if p.workload != nil {
				p.seen = true
			}
		}
		f.doubtful = f.seen().Count < l.in.MinCount
		if f.doubtful && l.in.LeaveOut {
			l.leaveOutFlow(f, fmt.Sprintf("seen fewer than %d times", l.in.MinCount))
			continue
		}
		out = append(out, f)
	}
	return out
}

func (l *learning) leaveOutFlow(f *flow, reason string) {
	one := LeftOut{f.from.String(), f.to.String(), f.protocol, f.port, f.seen(), reason}
	if _, known := l.left[one]; !known {
		l.left[one] = len(l.out.LeftOut)
		l.out.LeftOut = append(l.out.LeftOut, one)
	}
}

// countDeclared counts the connections that are allowed already, and those that are left to DNS.
func (l *learning) countDeclared(flows []*flow, missing []half) {
	isMissing := map[*flow]bool{}
	for _, h := range missing {
		isMissing[h.flow] = true
		h.added = true
	}
	for _, f := range flows {
		n := f.seen().Count
		l.out.Connections += n
		switch {
		case f.dns && !l.isLearned(f.to):
			l.out.DNS += n
		case !isMissing[f]:
			l.out.Declared += n
		}
	}
}

// found makes AppTiers for the workloads that are in no tier yet.
func (l *learning) found(ctx context.Context, flows []*flow) error {
	in := adopt.Input{Namespaces: l.in.Namespaces, AppTiers: l.apps, Environment: l.in.Environment, Refuses: refuses}
	policies := l.policies(flows)
	if len(policies) == 0 {
		return nil
	}
	in.Policies = policies
	for _, w := range l.resolver.workloads.all {
		in.Pods = append(in.Pods, adopt.Pod{Pod: w.pod, Workload: w.name})
	}
	// What is written says exactly what the policies do, which nothing but these AppTiers will have said.
	same := func(context.Context, []*networkingv1.NetworkPolicy) (compare.Result, error) {
		return compare.Result{}, nil
	}
	made, err := adopt.Import(ctx, in, same)
	if err != nil {
		return fmt.Errorf("making AppTiers: %w", err)
	}
	moved := map[v1alpha1.AppTierReference]v1alpha1.AppTierReference{}
	for _, app := range made.AppTiers {
		if host := l.host(app); host != nil {
			moveTiers(app, host, moved)
			continue
		}
		app.Spec.Mode = v1alpha1.Audit
		splitPorts(app)
		l.apps = append(l.apps, app)
	}
	for _, app := range l.apps {
		rename(app, moved)
	}
	l.tiers = map[*workload][]tierOf{}
	return nil
}

// refuses is the first reason for which an AppTier cannot be.
func refuses(app *v1alpha1.AppTier) string {
	for _, f := range lint.AppTier(app) {
		if f.Severity == check.Reject {
			return string(f.Path) + ": " + f.Message
		}
	}
	return ""
}

// collect says what came of it.
func (l *learning) collect(flows []*flow) {
	was := map[types.NamespacedName]*v1alpha1.AppTier{}
	for _, app := range l.in.AppTiers {
		was[kube.NameOf(app)] = app
	}
	for _, app := range l.apps {
		name := kube.NameOf(app)
		old := was[name]
		if old != nil && textOf(old.Spec) == textOf(app.Spec) {
			continue
		}
		l.out.Changed[name] = old != nil
		l.out.AppTiers = append(l.out.AppTiers, app)
		l.out.Grounds = append(l.out.Grounds, l.groundsOf(app, flows, old != nil)...)
	}
	for _, w := range l.resolver.workloads.all {
		if !w.seen && l.isLearned(party{workload: w}) && len(l.tiersOf(w)) == 0 {
			l.out.Unseen = append(l.out.Unseen, types.NamespacedName{Namespace: w.namespace, Name: w.name})
		}
	}
	for _, f := range flows {
		for _, p := range []party{f.from, f.to} {
			if p.workload == nil && p.is == "" && !f.dns && !l.in.isOutside(p) && !slices.Contains(l.out.Unknown, p.address) {
				l.out.Unknown = append(l.out.Unknown, p.address)
			}
		}
	}
	slices.SortFunc(l.out.Unknown, netip.Addr.Compare)
	maps.DeleteFunc(l.out.Changed, func(_ types.NamespacedName, changed bool) bool { return !changed })
}

// tierOf is a tier of an AppTier.
type tierOf struct {
	app   *v1alpha1.AppTier
	index int
}

func (t tierOf) tier() *v1alpha1.Tier { return &t.app.Spec.Tiers[t.index] }

// tiersOf are the tiers that a workload's pods are in.
func (l *learning) tiersOf(w *workload) []tierOf {
	out, found := l.tiers[w]
	if found {
		return out
	}
	for _, app := range l.apps {
		for i := range app.Spec.Tiers {
			if w.isIn(app.Namespace, &app.Spec.Tiers[i].PodSelector) {
				out = append(out, tierOf{app, i})
			}
		}
	}
	l.tiers[w] = out
	return out
}

func named(namespace string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}}
}
