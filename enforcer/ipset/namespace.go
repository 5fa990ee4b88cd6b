package ipset

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// namespace is a namespace, whether or not its object is known.
type namespace struct {
	name   string
	object bool
	labels labels.Set
	pods   map[*Pod]bool
	// selectors are the selectors in use that may select its pods; counts are the counted ones.
	selectors map[*selected]bool
	counts    map[*Count]bool
}

// SetNamespace adds a namespace, or changes its labels.
func (x *Index) SetNamespace(name string, set map[string]string) {
	in := x.namespaceOf(name)
	in.object = true
	x.relabel(in, namespaceLabels(name, set))
}

// DeleteNamespace removes a namespace. Its pods may be removed later.
func (x *Index) DeleteNamespace(name string) {
	if in := x.namespaces[name]; in != nil {
		in.object = false
		x.relabel(in, namespaceLabels(name, nil))
		x.collectGarbage(name)
	}
}

// namespaceOf returns the namespace of a name, and makes it if need be.
func (x *Index) namespaceOf(name string) *namespace {
	in := x.namespaces[name]
	if in == nil {
		in = &namespace{
			name: name, labels: namespaceLabels(name, nil), pods: map[*Pod]bool{},
			selectors: map[*selected]bool{}, counts: map[*Count]bool{},
		}
		x.namespaces[name] = in
		for _, s := range x.selectors {
			if s.in(in) {
				in.selectors[s] = true
			}
		}
		for c := range x.counts.selectors {
			if c.selector.in(in) {
				in.counts[c] = true
			}
		}
	}
	return in
}

// collectGarbage forgets a namespace that nothing is known of any more.
func (x *Index) collectGarbage(name string) {
	if in := x.namespaces[name]; in != nil && !in.object && len(in.pods) == 0 {
		delete(x.namespaces, name)
	}
}

// relabel holds a namespace with other labels against the selectors in use.
func (x *Index) relabel(in *namespace, set labels.Set) {
	if labels.Equals(in.labels, set) {
		return
	}
	in.labels = set
	x.counts.relabel(in)
	for _, s := range x.selectors {
		switch was, is := in.selectors[s], s.in(in); {
		case is && !was:
			in.selectors[s] = true
			x.addNamespace(s, in)
		case was && !is:
			delete(in.selectors, s)
			x.removeNamespace(s, in)
		}
	}
}

// namespaceLabels adds the label that the API server puts on every namespace.
func namespaceLabels(name string, set map[string]string) labels.Set {
	return labels.Merge(set, labels.Set{corev1.LabelMetadataName: name})
}
