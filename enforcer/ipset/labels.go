package ipset

import (
	"cmp"
	"slices"
	"unique"
)

// Labels is a pod's labels, sorted. Pods have many labels in common, and there are many pods: a map
// of strings for each was most of what they took.
type Labels []label

type label struct{ key, value unique.Handle[string] }

func newLabels(set map[string]string) Labels {
	out := make(Labels, 0, len(set))
	for key, value := range set {
		out = append(out, label{unique.Make(key), unique.Make(value)})
	}
	slices.SortFunc(out, func(a, b label) int { return cmp.Compare(a.key.Value(), b.key.Value()) })
	return out
}

// Lookup is labels.Labels'.
func (s Labels) Lookup(key string) (value string, exists bool) {
	for _, l := range s {
		if l.key.Value() == key {
			return l.value.Value(), true
		}
	}
	return "", false
}

// Has is labels.Labels'.
func (s Labels) Has(key string) bool {
	_, exists := s.Lookup(key)
	return exists
}

// Get is labels.Labels'.
func (s Labels) Get(key string) string {
	value, _ := s.Lookup(key)
	return value
}
