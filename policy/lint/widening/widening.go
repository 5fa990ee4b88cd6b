// Package widening decides whether a policy opens what the AppTiers of its namespace close, and shows a connection.
package widening

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/world"
)

const (
	ingress = networkingv1.PolicyTypeIngress
	egress  = networkingv1.PolicyTypeEgress
)

// Widening is a connection that a policy allows to or from a pod of an enforced AppTier, and that its AppTiers do not
// declare. Pods and namespaces represent any with these labels: they need not exist. It is one half of a connection: the
// policies of the other end may deny their half.
type Widening struct {
	// Direction, as seen from the AppTier's pod.
	Direction networkingv1.PolicyType
	// Clause is the part of the policy that allows it.
	Clause connset.Clause
	// Unknown says why the answer is not known; if it is not empty, the fields below are.
	Unknown string
	// By are the policies of the AppTiers that isolate the pod.
	By []*networkingv1.NetworkPolicy

	// Subject are the labels of the AppTier's pod, and SubjectPod is one that exists, or nil.
	Subject    map[string]string
	SubjectPod *corev1.Pod
	// IsPod says whether the other end is a pod; if not, only Address is set.
	IsPod bool
	// Peer and Namespace are the labels of the pod at the other end and of its namespace, and
	// PeerPod is one that exists, or nil.
	Peer, Namespace map[string]string
	PeerPod         *corev1.Pod
	// Address of the other end.
	Address netip.Addr
	// Port of the destination.
	Port connset.Port
}

// Of returns, for each peer of each rule of the judged policy, a connection that it opens and that the AppTiers of its
// namespace together do not declare. It decides this for every pod, namespace and address that could exist, consistent
// with the known ones.
func Of(v *world.View) iter.Seq[Widening] {
	return func(yield func(Widening) bool) {
		if slices.ContainsFunc(v.Here.Generated, func(g *world.Policy) bool { return world.IsSame(g, v.Policy) }) {
			return // the policy of an AppTier
		}
		for _, direction := range []networkingv1.PolicyType{ingress, egress} {
			d := declaredIn(v, direction)
			if len(d.by) == 0 {
				continue
			}
			for _, clause := range v.Policy.Clauses(direction) {
				if w := d.widening(clause); w != nil && !yield(*w) || v.Work.Err() != nil {
					return
				}
			}
		}
	}
}

// opened decides about the connections of some pods.
func (d *declared) opened(clause connset.Clause, of []connset.Box) *Widening {
	numbered := d.numbered(clause, onPorts(of, clause.Box.Ports))
	if numbered != nil && numbered.Unknown == "" {
		return numbered
	}
	return cmp.Or(d.named(clause, of), numbered)
}

// onPorts returns boxes with only these ports.
func onPorts(boxes []connset.Box, ports connset.Ports) []connset.Box {
	boxes = slices.Clone(boxes)
	for i := range boxes {
		boxes[i].Ports = ports
	}
	return boxes
}

// numbered decides about ports that have numbers.
func (d *declared) numbered(clause connset.Clause, boxes []connset.Box) *Widening {
	w := &Widening{Direction: d.direction, Clause: clause}
	remains := remainders{}
	for _, place := range d.places(clause.Box) {
		left, unknown := d.undeclared(place, boxes, remains)
		if len(left) > 0 {
			d.witness(w, place, left)
			return w
		}
		if unknown != "" {
			w.Unknown = unknown
		}
	}
	if w.Unknown == "" {
		return nil
	}
	return w
}

// elsewhere represents any namespace that is not known to exist, with any labels, and no namespace if the other end is
// not a pod.
var elsewhere *world.Namespace

// places are the namespaces that matter to a box: those that exist, and any other.
func (d *declared) places(box connset.Box) []*world.Namespace {
	if box.Kinds&connset.Others != 0 || !d.Work.Spend(len(d.Namespaces)) {
		return []*world.Namespace{elsewhere}
	}
	exist := slices.DeleteFunc(d.NamespacesIn(box), func(c *world.Namespace) bool { return !c.Exists })
	return append(exist, elsewhere)
}

// within returns the parts of boxes at a place.
func (d *declared) within(at *world.Namespace, boxes []connset.Box) []connset.Box {
	if at != elsewhere {
		return allAt(boxes, connset.Namespace, at.Labels)
	}
	name := connset.Label{Scope: connset.Namespace, Key: corev1.LabelMetadataName}
	boxes = slices.Clone(boxes)
	for i, box := range boxes {
		if box.Kinds == connset.Pods { // in a namespace, which always has this label
			boxes[i] = box.Where(name, d.OtherNames)
		}
	}
	return boxes
}

// remainder is what is left of some boxes without the declared ones; not ok if this takes too much work.
type remainder struct {
	left []connset.Box
	ok   bool
}

// remainders are the remainders of the same boxes, by kind of namespace.
type remainders map[string]remainder

// remainder returns what of boxes is not declared at a place. It is the same for all namespaces of a kind.
func (d *declared) remainder(at *world.Namespace, boxes []connset.Box, known remainders) remainder {
	kind := d.kindOf(at)
	if r, found := known[kind]; found {
		return r
	}
	boxes = d.within(at, boxes)
	if len(boxes) > 0 && boxes[0].Kinds == connset.Pods && len(d.PodNetworks) > 0 {
		for i := range boxes {
			boxes[i].Addresses = boxes[i].Addresses.Intersect(connset.PrefixAddresses(d.PodNetworks...))
		}
	}
	r := remainder{ok: true}
	for _, box := range boxes {
		left, ok := connset.SubtractWithin([]connset.Box{box}, d.shelf(at).Near(box), world.MostBoxes, d.Work.Spend)
		r.left = append(r.left, left...)
		r.ok = r.ok && ok
	}
	known[kind] = r
	return r
}

// loopback never leaves a pod, and no policy applies to it.
var loopback = connset.PrefixAddresses(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))

// privateNetworks are where pods have their addresses in nearly every cluster.
var privateNetworks = func() connset.Addresses {
	var prefixes []netip.Prefix
	for _, text := range append(slices.Clone(world.PrivateIPv4), "100.64.0.0/10", "fc00::/7") {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return connset.PrefixAddresses(prefixes...)
}()

const (
	subjectsUnknown = "it selects other labels than the AppTiers do, and it is not known which pods have both"
	tooMuch         = "the selectors of the AppTiers combine in too many ways"
	labelsUnknown   = "the AppTiers allow namespaces by labels, and the labels of this peer's namespace are not known"
	networksUnknown = "the AppTiers allow ranges of addresses, and it is not known which of them pods have"
	namesUnknown    = "the number of a named port depends on the pods"
)

// undeclared returns what of boxes is not declared at a place, or why that is not known.
func (d *declared) undeclared(at *world.Namespace, boxes []connset.Box, known remainders) (left []connset.Box, unknown string) {
	r := d.remainder(at, boxes, known)
	left = r.left
	switch {
	case !r.ok && len(left) == 0:
		return nil, tooMuch
	case len(left) == 0 || left[0].Kinds != connset.Pods:
		return left, ""
	}
	// Assume what is not known in favour of the policy: is everything declared then?
	if at == elsewhere && !d.KnowsNamespaces() && isNamed(boxes) {
		lifted := d.within(at, d.boxes)
		for i, box := range lifted {
			lifted[i] = box.Without(connset.Namespace, func(key string) bool { return key != corev1.LabelMetadataName })
		}
		var ok bool
		if left, ok = connset.SubtractWithin(left, lifted, world.MostBoxes, d.Work.Spend); !ok || len(left) == 0 {
			return nil, labelsUnknown
		}
	}
	if len(d.PodNetworks) == 0 {
		left = world.Where(left, func(box connset.Box) bool { return hasPrivateNetworks(box) || d.isSeen(at, box) })
		if len(left) == 0 {
			return nil, networksUnknown
		}
	}
	return left, ""
}

// isNamed says whether boxes name namespaces, which therefore probably exist.
func isNamed(boxes []connset.Box) bool {
	return slices.ContainsFunc(boxes, func(box connset.Box) bool {
		_, listed := box.Values(connset.Label{Scope: connset.Namespace, Key: corev1.LabelMetadataName}).Listed()
		return listed
	})
}

func hasPrivateNetworks(box connset.Box) bool { return privateNetworks.Minus(box.Addresses).IsEmpty() }

// isSeen says whether a pod that exists, with an address that is known, is a peer in a box.
func (d *declared) isSeen(at *world.Namespace, box connset.Box) bool {
	return slices.ContainsFunc(d.peersAt(at, box), func(pod *world.Pod) bool { return len(pod.Addresses) > 0 })
}
