package connset

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Values is a set of the values that one label may have. That an object lacks the label is one of
// them: conditions such as NotIn hold for it too.
type Values struct {
	// names are the values in the set, or, if it is open, those that are not; sorted.
	names  []string
	open   bool
	absent bool
}

// AnyValue is every value, and none.
func AnyValue() Values { return Values{open: true, absent: true} }

// OneOf is the given values.
func OneOf(names ...string) Values {
	names = slices.Clone(names)
	slices.Sort(names)
	return Values{names: slices.Compact(names)}
}

// NoneOf is every value but the given ones, and that the label is missing.
func NoneOf(names ...string) Values {
	v := OneOf(names...)
	v.open, v.absent = true, true
	return v
}

// Intersect returns the values that are in both sets.
func (v Values) Intersect(w Values) Values {
	out := Values{absent: v.absent && w.absent, open: v.open && w.open}
	switch {
	case v.open && w.open && len(v.names) == 0: // sets are never changed once they are made
		out.names = w.names
	case v.open && w.open && len(w.names) == 0:
		out.names = v.names
	case v.open && w.open:
		out.names = OneOf(slices.Concat(v.names, w.names)...).names
	case v.open:
		out.names = keep(w.names, func(name string) bool { return !v.lists(name) })
	default:
		out.names = keep(v.names, func(name string) bool { return w.lists(name) != w.open })
	}
	return out
}

// overlaps says whether any value is in both sets.
func (v Values) overlaps(w Values) bool {
	if v.absent && w.absent || v.open && w.open { // there are always more values than those that are not
		return true
	}
	if v.open {
		v, w = w, v
	}
	return slices.ContainsFunc(v.names, func(name string) bool { return w.lists(name) != w.open })
}

// lists says whether a value is one of the names.
func (v Values) lists(name string) bool {
	_, found := slices.BinarySearch(v.names, name)
	return found
}

// Minus returns the values that are not in w.
func (v Values) Minus(w Values) Values {
	return v.Intersect(Values{names: w.names, open: !w.open, absent: !w.absent})
}

func keep(names []string, wanted func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !wanted(name) })
}

// IsEmpty says whether no value is in the set.
func (v Values) IsEmpty() bool { return !v.open && !v.absent && len(v.names) == 0 }

// IsAny says whether every value is in the set.
func (v Values) IsAny() bool { return v.open && v.absent && len(v.names) == 0 }

// Match says whether labels have one of the values at a key.
func (v Values) Match(set map[string]string, key string) bool {
	value, present := set[key]
	if !present {
		return v.absent
	}
	return v.lists(value) != v.open
}

// Listed returns the values when they are few enough to list: none is open, none is missing.
func (v Values) Listed() ([]string, bool) { return v.names, !v.open && !v.absent }

// Example returns a value; a label that is missing counts as the simplest.
func (v Values) Example() (name string, present bool) {
	switch {
	case v.absent:
		return "", false
	case !v.open:
		return v.names[0], true
	}
	name = "other"
	for i := 2; v.lists(name); i++ {
		name = fmt.Sprintf("other-%d", i)
	}
	return name, true
}

// valuesOf returns what a requirement of a selector allows
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors).
func valuesOf(requirement labels.Requirement) Values {
	values := requirement.ValuesUnsorted()
	switch requirement.Operator() {
	case selection.In, selection.Equals, selection.DoubleEquals:
		return OneOf(values...)
	case selection.NotIn, selection.NotEquals:
		return NoneOf(values...)
	case selection.Exists:
		return Values{open: true}
	case selection.DoesNotExist:
		return Missing()
	default: // of numbers, which selectors of policies have no operators for
		return Values{}
	}
}

// Missing is that an object lacks the label.
func Missing() Values { return Values{absent: true} }
