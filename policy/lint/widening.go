package lint

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/space"
)

// Widening is a connection that a policy lets a pod of an enforced AppTier take or make, and that
// its AppTiers do not declare. Pods and namespaces stand for any with these labels: they need not
// exist. It is one half of a connection: the policies of the other end may deny theirs.
type Widening struct {
	// Direction, as seen from the AppTier's pod.
	Direction networkingv1.PolicyType
	// Clause is the part of the policy that does it.
	Clause space.Clause
	// Unknown says why the question is open, or is empty; if it is not, there is nothing below.
	Unknown string
	// By are the policies of the AppTiers that isolate the pod.
	By []*networkingv1.NetworkPolicy

	// Subject are the labels of the AppTier's pod, and SubjectPod is one that exists, or nil.
	Subject    map[string]string
	SubjectPod *corev1.Pod
	// IsPod says whether the other end is a pod; if not, it is Address alone.
	IsPod bool
	// Peer and Namespace are the labels of the pod at the other end and of its namespace, and
	// PeerPod is one that exists, or nil.
	Peer, Namespace map[string]string
	PeerPod         *corev1.Pod
	// Address of the other end.
	Address netip.Addr
	// Port of the destination.
	Port space.Port
}

// Widenings returns, for each peer of each rule of a policy, a connection that it opens although
// the AppTiers of its namespace, all together, do not declare it. It is decided for every pod,
// namespace and address that could exist, within what the world says about those that do.
func Widenings(policy *networkingv1.NetworkPolicy, world World) []Widening {
	if slices.ContainsFunc(world.Generated, func(g *networkingv1.NetworkPolicy) bool { return isSame(g, policy) }) {
		return nil // an AppTier's own
	}
	v := newView(policy, world)
	var out []Widening
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		generated := slices.DeleteFunc(slices.Clone(world.Generated), func(g *networkingv1.NetworkPolicy) bool {
			return g.Namespace != policy.Namespace || !space.Isolates(g, direction)
		})
		if len(generated) == 0 {
			continue
		}
		d := &declared{view: v, direction: direction, by: generated}
		for _, g := range generated {
			for _, clause := range v.clausesOf(g, direction) {
				d.boxes = append(d.boxes, clause.Box)
			}
		}
		for _, clause := range v.clausesOf(policy, direction) {
			if w := d.widening(clause); w != nil {
				out = append(out, *w)
			}
		}
	}
	return out
}

// declared is what the AppTiers of a namespace let its pods do in a direction.
type declared struct {
	*view
	direction networkingv1.PolicyType
	by        []*networkingv1.NetworkPolicy
	boxes     []space.Box
}

// widening returns what a clause opens beyond what is declared; nil for nothing.
func (d *declared) widening(clause space.Clause) *Widening {
	whatever := clause.Box
	whatever.Ports = space.AllPorts()
	certain, possible := d.isolated(whatever)
	w := d.opened(clause, certain)
	if w == nil && d.opened(clause, possible) != nil {
		return &Widening{Direction: d.direction, Clause: clause, Unknown: subjectsUnknown}
	}
	return w
}

// opened decides about the connections of some pods.
func (d *declared) opened(clause space.Clause, of []space.Box) *Widening {
	numbered := d.numbered(clause, onPorts(of, clause.Box.Ports))
	if numbered != nil && numbered.Unknown == "" {
		return numbered
	}
	return cmp.Or(d.named(clause, of), numbered)
}

// onPorts returns boxes with these ports alone.
func onPorts(boxes []space.Box, ports space.Ports) []space.Box {
	boxes = slices.Clone(boxes)
	for i := range boxes {
		boxes[i].Ports = ports
	}
	return boxes
}

// numbered decides about ports that have numbers.
func (d *declared) numbered(clause space.Clause, boxes []space.Box) *Widening {
	w := &Widening{Direction: d.direction, Clause: clause}
	for _, place := range d.places(clause.Box) {
		left, unknown := d.undeclared(place, boxes)
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

// place is a namespace that peers may be in. Its labels are those of one that exists, or any that a
// selector may ask for.
type place struct {
	exists bool
	labels map[string]string
	// other holds, if it does not exist, those that do.
	other []string
}

// places are all that matter to a box: those that exist, those of the same labels once, and any other.
func (d *declared) places(box space.Box) []place {
	if box.Kinds&space.Others != 0 {
		return []place{{}}
	}
	var out []place
	var names []string
	for _, name := range d.namespaceNames() {
		if set, known := d.namespaces[name]; known {
			names = append(names, name)
			if box.Match(space.Namespace, set) {
				out = append(out, place{exists: true, labels: set})
			}
		}
	}
	return append(out, place{other: names})
}

// at returns the parts of boxes that are about a place.
func (p place) at(boxes []space.Box) []space.Box {
	if p.exists {
		return allAt(boxes, space.Namespace, p.labels)
	}
	name := space.Label{Scope: space.Namespace, Key: corev1.LabelMetadataName}
	var out []space.Box
	for _, box := range boxes {
		if box.Kinds == space.Pods { // in a namespace, which always has this label
			box = box.Where(name, space.NoneOf(p.other...)).Where(name, space.AnyValue().Minus(space.Missing()))
		}
		out = append(out, box)
	}
	return out
}

// loopback never leaves a pod, and no policy is asked about it.
var loopback = space.PrefixAddresses(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))

// privateNetworks are where pods have their addresses in nearly every cluster.
var privateNetworks = func() space.Addresses {
	var prefixes []netip.Prefix
	for _, text := range append(slices.Clone(privateIPv4), "100.64.0.0/10", "fc00::/7") {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return space.PrefixAddresses(prefixes...)
}()

const (
	subjectsUnknown = "it selects other labels than the AppTiers do, and which pods have both is not known"
	tooMuch         = "the selectors of the AppTiers combine in too many ways"
	labelsUnknown   = "the AppTiers allow namespaces by labels, and those of this peer's namespace are not known"
	networksUnknown = "the AppTiers allow ranges of addresses, and which of them pods have is not known"
	namesUnknown    = "the number of a port with a name depends on the pods"
)

// undeclared returns what is in the boxes and not declared, at a place; or why that is not known.
func (d *declared) undeclared(at place, boxes []space.Box) (left []space.Box, unknown string) {
	boxes, declared := at.at(boxes), at.at(d.boxes)
	isPods := len(boxes) > 0 && boxes[0].Kinds == space.Pods
	if isPods && len(d.PodNetworks) > 0 {
		for i := range boxes {
			boxes[i].Addresses = boxes[i].Addresses.Intersect(space.PrefixAddresses(d.PodNetworks...))
		}
	}
	left, ok := space.Subtract(boxes, declared, mostBoxes)
	switch {
	case !ok:
		return nil, tooMuch
	case len(left) == 0 || !isPods:
		return left, ""
	}
	// What the world leaves open, seen in favour of the policy: is it declared then?
	if !at.exists && !d.knowsNamespaces() && isNamed(boxes) {
		lifted := make([]space.Box, len(declared))
		for i, box := range declared {
			lifted[i] = box.Without(space.Namespace, func(key string) bool { return key != corev1.LabelMetadataName })
		}
		if left, ok = space.Subtract(left, lifted, mostBoxes); !ok || len(left) == 0 {
			return nil, labelsUnknown
		}
	}
	if len(d.PodNetworks) == 0 {
		left = slices.DeleteFunc(left, func(box space.Box) bool { return !hasPrivateNetworks(box) && !d.isSeen(at, box) })
		if len(left) == 0 {
			return nil, networksUnknown
		}
	}
	return left, ""
}

// isNamed says whether boxes are about namespaces by name, which therefore exist, it seems.
func isNamed(boxes []space.Box) bool {
	return slices.ContainsFunc(boxes, func(box space.Box) bool {
		_, listed := box.Values(space.Label{Scope: space.Namespace, Key: corev1.LabelMetadataName}).Listed()
		return listed
	})
}

func hasPrivateNetworks(box space.Box) bool { return privateNetworks.Minus(box.Addresses).IsEmpty() }

// isSeen says whether a pod that exists, with an address that is known, is a peer in a box.
func (d *declared) isSeen(at place, box space.Box) bool {
	return slices.ContainsFunc(d.peersAt(at, box), func(pod *corev1.Pod) bool { return len(addressesOf(pod)) > 0 })
}
