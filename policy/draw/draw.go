// Package draw shows AppTiers as a picture: who may reach whom, on which ports, and what is worth
// knowing to be denied.
//
// It draws what AppTiers say, in their own words, and not the policies that follow. DNS through the
// cluster's servers, which every isolated pod has unless its AppTier says otherwise, is left out, and
// so are the tunnels of a mesh.
package draw

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
)

// Mermaid returns a flowchart in the language of https://mermaid.js.org, which GitHub and others render
// in Markdown. The AppTiers must have passed lint.AppTier. The result does not depend on their order.
func Mermaid(apps ...*v1alpha1.AppTier) string {
	return mermaid(newGraph(apps))
}

func newGraph(apps []*v1alpha1.AppTier) *graph {
	apps = slices.SortedFunc(slices.Values(apps), func(a, b *v1alpha1.AppTier) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	d := drawing{graph: &graph{}, apps: map[types.NamespacedName]*v1alpha1.AppTier{}}
	for _, app := range apps {
		d.apps[kube.NameOf(app)] = app
	}
	for _, app := range apps {
		for i := range app.Spec.Tiers {
			d.tier(app, &app.Spec.Tiers[i])
		}
	}
	for _, app := range apps {
		d.connections(app)
	}
	for _, app := range apps {
		d.steps(app)
	}
	for _, app := range apps {
		d.denials(app)
	}
	d.graph.nameElse()
	return d.graph
}

// drawing is the making of a graph.
type drawing struct {
	graph *graph
	apps  map[types.NamespacedName]*v1alpha1.AppTier
}

// tier is the box of a tier.
func (d *drawing) tier(app *v1alpha1.AppTier, tier *v1alpha1.Tier) *box {
	return d.graph.box(box{key: tierKey(app.Namespace, tier), namespace: app.Namespace, label: tier.Name, shape: rectangle})
}

// tierKey is that of the tier's pods, so that a peer which selects the same pods is the same box.
func tierKey(namespace string, tier *v1alpha1.Tier) string {
	return podsKey(namespace, &tier.PodSelector)
}

// everyPod is the box of the pods of a namespace that are of no tier.
func (d *drawing) everyPod(app *v1alpha1.AppTier) *box {
	label := "every pod"
	if len(app.Spec.Tiers) > 0 {
		label = "every other pod"
	}
	return d.graph.box(box{key: "every pod of " + app.Namespace, namespace: app.Namespace, label: label, shape: rounded})
}

// connections draws what an AppTier allows.
func (d *drawing) connections(app *v1alpha1.AppTier) {
	if app.Spec.Isolation.SameNamespace == v1alpha1.SameNamespaceAllow {
		pod := d.everyPod(app)
		another := d.graph.box(box{key: "another pod of " + app.Namespace, namespace: app.Namespace, label: "every pod beside it",
			shape: rounded})
		d.graph.arrow(pod, another, anyPort)
		d.graph.arrow(another, pod, anyPort)
	}
	unresolved := unresolvedPaths(app, d.apps)
	for i := range app.Spec.Tiers {
		tier := &app.Spec.Tiers[i]
		r := rules{drawing: d, app: app, tier: tier, box: d.tier(app, tier), unresolved: unresolved}
		r.ingress(i)
		r.egress(i)
	}
}

// unresolvedPaths are the fields that refer to other AppTiers which are not drawn, or do not agree.
func unresolvedPaths(app *v1alpha1.AppTier, apps map[types.NamespacedName]*v1alpha1.AppTier) map[string]bool {
	env := expand.DefaultEnvironment()
	env.AppTiers = apps
	paths := map[string]bool{}
	for _, reference := range expand.Expand(app, env).Unresolved {
		paths[reference.Path] = true
	}
	return paths
}

// steps crosses out the way from a tier to one that is two connections away: a picture of a chain
// suggests that its ends are connected.
func (d *drawing) steps(app *v1alpha1.AppTier) {
	for i := range app.Spec.Tiers {
		for j := range app.Spec.Tiers {
			from, to := d.tier(app, &app.Spec.Tiers[i]), d.tier(app, &app.Spec.Tiers[j])
			between := slices.ContainsFunc(app.Spec.Tiers, func(t v1alpha1.Tier) bool {
				middle := d.tier(app, &t)
				return d.graph.connected(from, middle) && d.graph.connected(middle, to)
			})
			closed := model.Isolates(&app.Spec, &app.Spec.Tiers[i], v1alpha1.Egress) ||
				model.Isolates(&app.Spec, &app.Spec.Tiers[j], v1alpha1.Ingress)
			if from != to && between && closed && !d.graph.connected(from, to) {
				d.graph.deny(from, to)
			}
		}
	}
}

// denials crosses out the rest, in each direction that is isolated.
func (d *drawing) denials(app *v1alpha1.AppTier) {
	for i := range app.Spec.Tiers {
		tier := &app.Spec.Tiers[i]
		at := d.tier(app, tier)
		if model.Isolates(&app.Spec, tier, v1alpha1.Ingress) && !d.graph.connected(d.graph.find(anyone.key), at) {
			d.graph.deny(d.graph.box(anyoneElse), at)
		}
		if model.Isolates(&app.Spec, tier, v1alpha1.Egress) && !d.graph.connected(at, d.graph.find(anywhere.key)) {
			d.graph.deny(at, d.graph.box(anywhereElse))
		}
	}
	if app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace {
		d.graph.deny(d.graph.box(anyoneElse), d.everyPod(app))
		d.graph.deny(d.everyPod(app), d.graph.box(anywhereElse))
	}
}
