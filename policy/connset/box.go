package connset

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Scope says whose label it is.
type Scope int

// Scopes of labels.
const (
	// Subject is the pod that a policy selects.
	Subject Scope = iota
	// Peer is the pod at the other end.
	Peer
	// Namespace is the namespace of the pod at the other end.
	Namespace
)

// Label is a label of someone.
type Label struct {
	Scope Scope
	Key   string
}

// Kinds says what the other end may be.
type Kinds uint8

// Kinds of other ends.
const (
	// Pods are pods on the pod network, which selectors match.
	Pods Kinds = 1 << iota
	// Others are everything else: nodes, and everything outside the cluster.
	Others
	// Anyone is both.
	Anyone = Pods | Others
)

// Box is a set of connections of one direction: all those that meet every condition. Conditions on
// labels of the peer and its namespace are met by pods alone.
type Box struct {
	// labels holds the conditions, one for a label, in its order; there is none on a label that is
	// not in it. A list, since it is looked through far more often than anything is looked up.
	labels    []condition
	Kinds     Kinds
	Addresses Addresses
	Ports     Ports
}

// condition is what a label may be.
type condition struct {
	label  Label
	values Values
}

func (l Label) compare(m Label) int {
	return cmp.Or(cmp.Compare(l.Scope, m.Scope), cmp.Compare(l.Key, m.Key))
}

// find returns where the condition on a label is, or would be.
func (b Box) find(label Label) (int, bool) {
	return slices.BinarySearchFunc(b.labels, label, func(c condition, l Label) int { return c.label.compare(l) })
}

// Everything is every connection.
func Everything() Box { return Box{Kinds: Anyone, Addresses: AllAddresses(), Ports: AllPorts()} }

// Values returns the condition on a label.
func (b Box) Values(label Label) Values {
	if i, found := b.find(label); found {
		return b.labels[i].values
	}
	return AnyValue()
}

// Labels returns the labels of a scope that there are conditions on, sorted.
func (b Box) Labels(scope Scope) []string {
	var keys []string
	for _, c := range b.labels {
		if c.label.Scope == scope {
			keys = append(keys, c.label.Key)
		}
	}
	return keys
}

// Conditions returns how many labels of a scope there are conditions on.
func (b Box) Conditions(scope Scope) int {
	n := 0
	for i := range b.labels {
		if b.labels[i].label.Scope == scope {
			n++
		}
	}
	return n
}

// Listing returns the label of a scope whose condition lists the fewest values, and these; false if
// no condition lists any.
func (b Box) Listing(scope Scope) (key string, values []string, found bool) {
	for _, c := range b.labels {
		if list, listed := c.values.Listed(); c.label.Scope == scope && listed && (!found || len(list) < len(values)) {
			key, values, found = c.label.Key, list, true
		}
	}
	return key, values, found
}

// Where returns the part of the box that meets one more condition.
func (b Box) Where(label Label, values Values) Box {
	if values.IsAny() {
		return b
	}
	if label.Scope != Subject {
		b.Kinds &= Pods
	}
	i, found := b.find(label)
	labels := make([]condition, 0, len(b.labels)+1)
	labels = append(labels, b.labels[:i]...)
	if found {
		labels = append(labels, condition{label, b.labels[i].values.Intersect(values)})
		i++
	} else {
		labels = append(labels, condition{label, values})
	}
	b.labels = append(labels, b.labels[i:]...)
	return b
}

// WhereSelected returns the part of the box whose labels of a scope match a selector. Its error says that the selector
// cannot be read.
func (b Box) WhereSelected(scope Scope, selector *metav1.LabelSelector) (Box, error) {
	read, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return Box{}, fmt.Errorf("reading a selector: %w", err)
	}
	return b.WhereMatching(scope, read), nil
}

// WhereMatching returns the part of the box whose labels of a scope match a selector that is read.
func (b Box) WhereMatching(scope Scope, selector labels.Selector) Box {
	if scope != Subject {
		b.Kinds &= Pods
	}
	requirements, selectable := selector.Requirements()
	if !selectable {
		return Box{}
	}
	for _, requirement := range requirements {
		b = b.Where(Label{scope, requirement.Key()}, valuesOf(requirement))
	}
	return b
}

// WhereNamespace returns the part of the box whose peers are pods of a namespace.
func (b Box) WhereNamespace(name string) Box {
	return b.Where(Label{Namespace, corev1.LabelMetadataName}, OneOf(name))
}

// Without returns the box with the conditions on labels of a scope lifted, as far as the keys are
// told: it holds all that the box holds, and perhaps more.
func (b Box) Without(scope Scope, lift func(key string) bool) Box {
	b.labels = slices.DeleteFunc(slices.Clone(b.labels), func(c condition) bool { return c.label.Scope == scope && lift(c.label.Key) })
	return b
}

// IsEmpty says whether no connection is in the box.
func (b Box) IsEmpty() bool {
	if b.Kinds == 0 || b.Addresses.IsEmpty() || b.Ports.IsEmpty() {
		return true
	}
	return slices.ContainsFunc(b.labels, func(c condition) bool { return c.values.IsEmpty() })
}

// Overlaps says whether any connection is in both boxes: most boxes have nothing in common, which is
// quicker to see than what they have is to make.
func (b Box) Overlaps(c Box) bool {
	if b.Kinds&c.Kinds == 0 || !b.Addresses.of.overlaps(c.Addresses.of) || !b.Ports.of.overlaps(c.Ports.of) {
		return false
	}
	for i, j := 0, 0; i < len(b.labels) || j < len(c.labels); {
		switch order := compareHeads(b.labels[i:], c.labels[j:]); {
		case order < 0:
			if b.labels[i].values.IsEmpty() {
				return false
			}
			i++
		case order > 0:
			if c.labels[j].values.IsEmpty() {
				return false
			}
			j++
		default:
			if !b.labels[i].values.overlaps(c.labels[j].values) {
				return false
			}
			i, j = i+1, j+1
		}
	}
	return true
}

// compareHeads compares the labels of the first of two lists of conditions; the end comes last.
func compareHeads(a, b []condition) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return a[0].label.compare(b[0].label)
}

// Intersect returns the connections that are in both boxes.
func (b Box) Intersect(c Box) Box {
	b.Kinds &= c.Kinds
	b.Addresses = b.Addresses.Intersect(c.Addresses)
	b.Ports = b.Ports.Intersect(c.Ports)
	for _, other := range c.labels {
		b = b.Where(other.label, other.values)
	}
	return b
}

// Minus returns the connections that are not in c, as disjoint boxes.
func (b Box) Minus(c Box) []Box {
	if !b.Overlaps(c) {
		return []Box{b}
	}
	var out []Box
	split := func(outside, inside Box) {
		if !outside.IsEmpty() {
			out = append(out, outside)
		}
		b = inside
	}
	outside, inside := b, b
	outside.Kinds, inside.Kinds = b.Kinds&^c.Kinds, b.Kinds&c.Kinds
	split(outside, inside)
	outside, inside = b, b
	outside.Ports, inside.Ports = b.Ports.Minus(c.Ports), b.Ports.Intersect(c.Ports)
	split(outside, inside)
	outside, inside = b, b
	outside.Addresses, inside.Addresses = b.Addresses.Minus(c.Addresses), b.Addresses.Intersect(c.Addresses)
	split(outside, inside)
	for _, other := range c.labels {
		split(b.Where(other.label, AnyValue().Minus(other.values)), b.Where(other.label, other.values))
	}
	return out
}

// Subtract returns the connections that are in one of the boxes and in none of the others. It gives
// up, and says so, when that takes more than most boxes to describe.
func Subtract(boxes, others []Box, most int) (left []Box, ok bool) {
	return SubtractWithin(boxes, others, most, func(int) bool { return true })
}

// SubtractWithin subtracts as Subtract does, and gives up as well once spend says that there is nothing
// left to be spent. It is told how many pairs of boxes are about to be looked at.
func SubtractWithin(boxes, others []Box, most int, spend func(pairs int) bool) (left []Box, ok bool) {
	left = slices.DeleteFunc(slices.Clone(boxes), Box.IsEmpty)
	for _, other := range others {
		if len(left) == 0 {
			break
		}
		if !spend(len(left)) {
			return nil, false
		}
		if slices.ContainsFunc(left, other.Overlaps) {
			var next []Box
			for _, box := range left {
				next = append(next, box.Minus(other)...)
			}
			left = next
		}
		if len(left) > most {
			return nil, false
		}
	}
	return left, true
}

// Match says whether labels meet the conditions of a scope.
func (b Box) Match(scope Scope, set map[string]string) bool {
	for i := range b.labels {
		if c := &b.labels[i]; c.label.Scope == scope && !c.values.Match(set, c.label.Key) {
			return false
		}
	}
	return true
}

// Example returns labels that meet the conditions of a scope.
func (b Box) Example(scope Scope) map[string]string {
	set := map[string]string{}
	for _, c := range b.labels {
		if c.label.Scope != scope {
			continue
		}
		if name, present := c.values.Example(); present {
			set[c.label.Key] = name
		}
	}
	return set
}

// At returns the part of the box where the labels of a scope are the given ones, without conditions
// on them; false if they meet not all conditions.
func (b Box) At(scope Scope, set map[string]string) (Box, bool) {
	if !b.Match(scope, set) {
		return Box{}, false
	}
	return b.Without(scope, func(string) bool { return true }), true
}
