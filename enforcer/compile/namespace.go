package compile

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// namespace is a namespace, whether or not its object is known.
type namespace struct {
	name     string
	object   bool
	labels   labels.Set
	pods     map[*Pod]bool
	locals   map[*Pod]bool // those of this node
	policies map[string]*policy
	// selected are the selectors in use that may select its pods.
	selected map[*selected]bool
	watched  map[*watched]bool

	// addresses is how many the peers of its policies select, each peer counted once for each policy.
	addresses int
	// merging is what the groups of its pods have copied, and merged how much that is; plain says that it is too
	// much, and so is not.
	merging merging
	merged  int
	plain   bool
}

// SetNamespace tells of a namespace that came, or whose labels changed.
func (c *Compiler) SetNamespace(object *corev1.Namespace) {
	s := c.namespaceOf(object.Name)
	s.object = true
	c.relabel(s, namespaceLabels(object.Name, object.Labels))
}

// DeleteNamespace tells of a namespace that is gone. Its pods may go later.
func (c *Compiler) DeleteNamespace(name string) {
	if s := c.namespaces[name]; s != nil {
		s.object = false
		c.relabel(s, namespaceLabels(name, nil))
		c.collectGarbage(name)
	}
}

// namespaceOf returns the namespace of a name, and makes it if need be.
func (c *Compiler) namespaceOf(name string) *namespace {
	s := c.namespaces[name]
	if s == nil {
		s = &namespace{
			name: name, labels: namespaceLabels(name, nil), pods: map[*Pod]bool{}, locals: map[*Pod]bool{},
			policies: map[string]*policy{}, selected: map[*selected]bool{},
			watched: map[*watched]bool{},
		}
		c.namespaces[name] = s
		for _, selected := range c.selected {
			if selected.in(s) {
				s.selected[selected] = true
			}
		}
		for _, watched := range c.watched {
			if watched.in(s) {
				s.watched[watched] = true
			}
		}
	}
	return s
}

// collectGarbage forgets a namespace that nothing is known of any more.
func (c *Compiler) collectGarbage(name string) {
	if s := c.namespaces[name]; s != nil && !s.object && len(s.pods) == 0 && len(s.policies) == 0 {
		delete(c.namespaces, name)
	}
}

// relabel holds a namespace with other labels against the selectors in use.
func (c *Compiler) relabel(s *namespace, set labels.Set) {
	if labels.Equals(s.labels, set) {
		return
	}
	s.labels = set
	c.watchSpace(s)
	for _, selected := range c.selected {
		switch was, is := s.selected[selected], selected.in(s); {
		case is && !was:
			s.selected[selected] = true
			c.collect(selected, s)
		case was && !is:
			delete(s.selected, selected)
			c.discard(selected, s)
		}
	}
}

// namespaceLabels adds the label that the API server puts on every namespace.
func namespaceLabels(name string, set map[string]string) labels.Set {
	return labels.Merge(set, labels.Set{corev1.LabelMetadataName: name})
}
