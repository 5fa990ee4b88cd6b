package world

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
)

// Index is a World prepared for judging many NetworkPolicies, also concurrently: an index never changes,
// nor may the objects that it was made from.
type Index struct {
	// Whole, Known, MorePods, PodNetworks and DNSService are as in the World, and Backends too, by their namespaces.
	Whole bool
	Known Parts
	// unknown are the keys of labels whose values are not known for some pods.
	unknown     []string
	MorePods    bool
	PodNetworks []netip.Prefix
	Backends    map[string][]Backend
	// serviceNetworks are the addresses that Services may have.
	serviceNetworks connset.Addresses
	DNSService      types.NamespacedName

	namespaces map[string]*Namespace
	// sorted are all namespaces that are known to exist, by name.
	sorted []*Namespace
	// Strange are namespaces of sorted of which only the contents are known.
	Strange []*Namespace
	// OtherNames are the names of namespaces that do not exist.
	OtherNames connset.Values
	// HasNameLabel says that some namespace has the label "name".
	HasNameLabel bool
	// DNS are the Services of the cluster's DNS, in no order.
	DNS []*corev1.Service
}

// NewIndex prepares a world.
func NewIndex(world World) *Index {
	x := &Index{
		Whole: world.Whole, Known: world.Known, unknown: world.UnknownLabels, MorePods: world.MorePods, PodNetworks: world.PodNetworks,
		Backends: backendsByNamespace(world.Backends), DNSService: world.DNSService,
		serviceNetworks: connset.PrefixAddresses(world.ServiceNetworks...),
	}
	return x.With(byNamespace(world))
}

// WithBackends returns the index with these backends.
func (x *Index) WithBackends(backends []Backend) *Index {
	next := *x
	next.Backends = backendsByNamespace(backends)
	return &next
}

// WithServiceNetworks returns the index with these ranges of Services' addresses.
func (x *Index) WithServiceNetworks(networks []netip.Prefix) *Index {
	next := *x
	next.serviceNetworks = connset.PrefixAddresses(networks...)
	return &next
}

// byNamespace returns the lists of a world, by namespace.
func byNamespace(world World) map[string]World {
	parts := map[string]World{}
	for _, o := range world.Namespaces {
		part := parts[o.Name]
		part.Namespaces = append(part.Namespaces, o)
		parts[o.Name] = part
	}
	share(parts, world.Pods, func(w *World) *[]*corev1.Pod { return &w.Pods })
	share(parts, world.Services, func(w *World) *[]*corev1.Service { return &w.Services })
	share(parts, world.Policies, func(w *World) *[]*networkingv1.NetworkPolicy { return &w.Policies })
	share(parts, world.Generated, func(w *World) *[]*networkingv1.NetworkPolicy { return &w.Generated })
	return parts
}

// share adds objects to a list of the part of each one's namespace.
func share[T metav1.Object](parts map[string]World, objects []T, list func(*World) *[]T) {
	for _, o := range objects {
		part := parts[o.GetNamespace()]
		*list(&part) = append(*list(&part), o)
		parts[o.GetNamespace()] = part
	}
}

// With returns the index with these lists in place of the contents of some namespaces. The rest of the
// World does not change.
func (x *Index) With(parts map[string]World) *Index {
	next := *x
	next.namespaces = maps.Clone(x.namespaces)
	if next.namespaces == nil {
		next.namespaces = map[string]*Namespace{}
	}
	for name, part := range parts {
		if next.namespaces[name] = x.newNamespace(name, part, x.namespaces[name]); next.namespaces[name].isEmpty() {
			delete(next.namespaces, name)
		}
	}
	next.sorted, next.Strange, next.HasNameLabel, next.DNS = nil, nil, false, nil
	var names []string
	for _, c := range next.namespaces {
		switch {
		case c.Exists:
			names = append(names, c.Name)
			_, hasName := c.Labels["name"]
			next.HasNameLabel = next.HasNameLabel || hasName
		case len(c.Pods) > 0:
			next.Strange = append(next.Strange, c)
		default:
			continue
		}
		next.sorted = append(next.sorted, c)
	}
	for _, name := range wellKnownNamespaces {
		if c := next.At(name); !c.Exists && len(c.Pods) == 0 {
			next.sorted = append(next.sorted, c)
		}
	}
	// It is not known what the policies of a pod say together while one of them may select it or not.
	if len(next.unknown) > 0 {
		for _, c := range next.namespaces {
			next.Known.Policies = next.Known.Policies && !slices.ContainsFunc(c.Policies, next.AsksUnknown)
		}
	}
	slices.SortFunc(next.sorted, compareNames)
	slices.SortFunc(next.Strange, compareNames)
	for _, name := range slices.Sorted(maps.Keys(next.namespaces)) {
		next.DNS = append(next.DNS, next.namespaces[name].dns...)
	}
	next.OtherNames = connset.NoneOf(names...).Minus(connset.Missing())
	return &next
}

// AsksUnknown says whether a policy selects by a label whose value is not known for some pods.
func (x *Index) AsksUnknown(policy *Policy) bool {
	asks := func(box connset.Box, scope connset.Scope) bool {
		return slices.ContainsFunc(box.Labels(scope), func(key string) bool { return slices.Contains(x.unknown, key) })
	}
	if len(x.unknown) == 0 {
		return false
	}
	return asks(policy.Selected, connset.Subject) ||
		slices.ContainsFunc(slices.Concat(policy.ingress, policy.egress), func(clause connset.Clause) bool {
			return asks(clause.Box, connset.Peer)
		})
}

// wellKnownNamespaces exist in every cluster.
var wellKnownNamespaces = []string{"default", "kube-node-lease", "kube-public", "kube-system"}

func compareNames(a, b *Namespace) int { return cmp.Compare(a.Name, b.Name) }

// At returns what is in a namespace, which may be nothing.
func (x *Index) At(name string) *Namespace {
	if c, found := x.namespaces[name]; found {
		return c
	}
	return x.newNamespace(name, World{}, nil)
}

// WithPolicies returns the index with exactly these policies for an AppTier.
func (x *Index) WithPolicies(app *v1alpha1.AppTier, desired []*networkingv1.NetworkPolicy) *Index {
	here := x.At(app.Namespace)
	isOld := func(p *Policy) bool { return p.Labels[v1alpha1.LabelAppTier] == app.Name }
	if len(desired) == 0 && !slices.ContainsFunc(here.Generated, isOld) {
		return x
	}
	return x.With(map[string]World{app.Namespace: here.with(app.Name, desired)})
}
