package space

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// Others are everything else: nodes, and whatever is outside the cluster.
	Others
	// Anyone is both.
	Anyone = Pods | Others
)

// Box is a set of connections of one direction: all those that meet every condition. Conditions on
// labels of the peer and its namespace are met by pods alone.
type Box struct {
	// labels holds the conditions; there is none on a label that is not in it.
	labels    map[Label]Values
	Kinds     Kinds
	Addresses Addresses
	Ports     Ports
}

// Everything is every connection.
func Everything() Box { return Box{Kinds: Anyone, Addresses: AllAddresses(), Ports: AllPorts()} }

// Values returns the condition on a label.
func (b Box) Values(label Label) Values {
	if v, ok := b.labels[label]; ok {
		return v
	}
	return AnyValue()
}

// Labels returns the labels of a scope that there are conditions on, sorted.
func (b Box) Labels(scope Scope) []string {
	var keys []string
	for label := range b.labels {
		if label.Scope == scope {
			keys = append(keys, label.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Where returns the part of the box that meets one more condition.
func (b Box) Where(label Label, values Values) Box {
	if values.IsAny() {
		return b
	}
	if label.Scope != Subject {
		b.Kinds &= Pods
	}
	b.labels = maps.Clone(b.labels)
	if b.labels == nil {
		b.labels = map[Label]Values{}
	}
	b.labels[label] = b.Values(label).Intersect(values)
	return b
}

// WhereSelected returns the part of the box whose labels of a scope match a selector.
func (b Box) WhereSelected(scope Scope, selector *metav1.LabelSelector) (Box, error) {
	if scope != Subject {
		b.Kinds &= Pods
	}
	for key, value := range selector.MatchLabels {
		b = b.Where(Label{scope, key}, OneOf(value))
	}
	for _, requirement := range selector.MatchExpressions {
		values, err := valuesOf(requirement)
		if err != nil {
			return Box{}, err
		}
		b = b.Where(Label{scope, requirement.Key}, values)
	}
	return b, nil
}

// WhereNamespace returns the part of the box whose peers are pods of a namespace.
func (b Box) WhereNamespace(name string) Box {
	return b.Where(Label{Namespace, corev1.LabelMetadataName}, OneOf(name))
}

// Without returns the box with the conditions on labels of a scope lifted, as far as the keys are
// told: it holds all that the box holds, and perhaps more.
func (b Box) Without(scope Scope, lift func(key string) bool) Box {
	b.labels = maps.Clone(b.labels)
	maps.DeleteFunc(b.labels, func(label Label, _ Values) bool { return label.Scope == scope && lift(label.Key) })
	return b
}

// IsEmpty says whether no connection is in the box.
func (b Box) IsEmpty() bool {
	if b.Kinds == 0 || b.Addresses.IsEmpty() || b.Ports.IsEmpty() {
		return true
	}
	for _, values := range b.labels {
		if values.IsEmpty() {
			return true
		}
	}
	return false
}

// Intersect returns the connections that are in both boxes.
func (b Box) Intersect(c Box) Box {
	b.Kinds &= c.Kinds
	b.Addresses = b.Addresses.Intersect(c.Addresses)
	b.Ports = b.Ports.Intersect(c.Ports)
	for label, values := range c.labels {
		b = b.Where(label, values)
	}
	return b
}

// Minus returns the connections that are not in c, as disjoint boxes.
func (b Box) Minus(c Box) []Box {
	if b.Intersect(c).IsEmpty() {
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
	for _, label := range sortedLabels(c.labels) {
		split(b.Where(label, AnyValue().Minus(c.labels[label])), b.Where(label, c.labels[label]))
	}
	return out
}

func sortedLabels(of map[Label]Values) []Label {
	return slices.SortedFunc(maps.Keys(of), func(a, b Label) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Key, b.Key))
	})
}

// Subtract returns the connections that are in one of the boxes and in none of the others. It gives
// up, and says so, when that takes more than most boxes to describe.
func Subtract(boxes, others []Box, most int) (left []Box, ok bool) {
	left = slices.DeleteFunc(slices.Clone(boxes), Box.IsEmpty)
	for _, other := range others {
		var next []Box
		for _, box := range left {
			next = append(next, box.Minus(other)...)
		}
		if left = next; len(left) > most {
			return nil, false
		}
	}
	return left, true
}

// Match says whether labels meet the conditions on those of a scope.
func (b Box) Match(scope Scope, set map[string]string) bool {
	for label, values := range b.labels {
		if label.Scope == scope && !values.Match(set, label.Key) {
			return false
		}
	}
	return true
}

// Example returns labels that meet the conditions on those of a scope.
func (b Box) Example(scope Scope) map[string]string {
	set := map[string]string{}
	for label, values := range b.labels {
		if label.Scope != scope {
			continue
		}
		if name, present := values.Example(); present {
			set[label.Key] = name
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
