package widening

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/world"
)

// named decides about named ports. Only certain pods give them numbers. So either the port is opened at one of these
// pods, or its number is not known.
func (d *declared) named(clause connset.Clause, of []connset.Box) *Widening {
	if len(clause.Named) == 0 {
		return nil
	}
	var whichever connset.Ports
	for _, port := range clause.Named {
		whichever = whichever.Union(connset.PortRange(port.Protocol, 1, 65535))
	}
	of = slices.Clone(of)
	if d.direction == egress { // only pods know names
		clause.Box.Kinds &= connset.Pods
		for i := range of {
			of[i].Kinds = clause.Box.Kinds
		}
	}
	if d.numbered(clause, onPorts(of, whichever)) == nil {
		return nil // every number is declared
	}
	scope := connset.Subject
	if d.direction == egress {
		scope = connset.Peer
	}
	tried, ranges, conditions := map[string]bool{}, d.ranges(of), connset.Unlike(slices.Concat(of, d.every), scope)
	for _, pod := range d.knowing(clause) {
		if like := d.likeness(conditions, scope, ranges, pod); !d.Work.Spend(1) || tried[like] {
			continue // a pod like this one was judged, and nothing is opened there
		} else {
			tried[like] = true
		}
		if seen := d.openedAt(clause, of, pod); seen != nil {
			return seen
		}
	}
	return &Widening{Direction: d.direction, Clause: clause, Unknown: namesUnknown}
}

// knowing are the destinations of a clause, which know the numbers of its ports.
func (d *declared) knowing(clause connset.Clause) []*world.Pod {
	if d.direction == egress {
		return d.PeersOf(d.direction, clause).Meant
	}
	return world.OnPodNetwork(d.Matching(d.Here, clause.Box, connset.Subject))
}

// openedAt decides about the ports of a clause with the numbers that they have at a destination.
func (d *declared) openedAt(clause connset.Clause, of []connset.Box, pod *world.Pod) *Widening {
	boxes := onPorts(of, world.Resolve(clause.Named, pod))
	if d.direction == egress && len(pod.Addresses) > 0 {
		for i := range boxes {
			boxes[i].Addresses = boxes[i].Addresses.Intersect(connset.SingleAddresses(pod.Addresses...))
		}
	}
	return d.numberedAt(clause, boxes, pod)
}

// likeness classifies destinations by what decides whether anything is opened there: the names of their ports, the
// conditions that they and their namespaces meet, and their addresses.
func (d *declared) likeness(conditions []connset.Box, scope connset.Scope, ranges []connset.Addresses, pod *world.Pod) string {
	key := []byte(pod.Named + "/")
	d.Work.Spend(len(conditions) + len(ranges))
	for _, box := range conditions {
		key = append(key, bit(box.Match(scope, pod.Labels)))
	}
	if d.direction == ingress {
		return string(key)
	}
	key = append(key, bit(pod.In.Exists))
	key = append(key, d.kindOf(pod.In)...)
	if len(pod.Addresses) == 0 { // the addresses of other pods in its namespace decide
		return string(key) + pod.Namespace
	}
	for _, address := range pod.Addresses {
		for _, in := range ranges {
			key = append(key, bit(in.Contains(address)))
		}
	}
	return string(key)
}

func bit(is bool) byte {
	if is {
		return '1'
	}
	return '0'
}

// ranges are the ranges of addresses that the boxes, or declared ones, distinguish.
func (d *declared) ranges(of []connset.Box) []connset.Addresses {
	out := []connset.Addresses{connset.PrefixAddresses(d.PodNetworks...)}
	for _, box := range slices.Concat(of, d.every) {
		if !connset.AllAddresses().Minus(box.Addresses).IsEmpty() {
			out = append(out, box.Addresses)
		}
	}
	return out
}

// numberedAt decides about one destination pod that exists.
func (d *declared) numberedAt(clause connset.Clause, of []connset.Box, pod *world.Pod) *Widening {
	scope, places := connset.Subject, d.places(clause.Box)
	if d.direction == egress {
		scope, places = connset.Peer, []*world.Namespace{pod.In}
		if !pod.In.Exists {
			return nil // its labels decide
		}
	}
	only := d.only(scope, pod.Labels)
	boxes := slices.DeleteFunc(allAt(of, scope, pod.Labels), connset.Box.IsEmpty)
	remains := remainders{}
	for _, place := range places {
		left, _ := only.undeclared(place, boxes, remains)
		if len(left) == 0 {
			continue
		}
		w := &Widening{Direction: d.direction, Clause: clause}
		d.witness(w, place, left)
		if scope == connset.Peer {
			w.Peer, w.PeerPod = pod.Labels, pod.Pod
		} else {
			w.Subject, w.SubjectPod, w.By = pod.Labels, pod.Pod, d.isolating(pod.Labels)
		}
		return w
	}
	return nil
}

// allAt returns the parts of boxes with these labels of a scope.
func allAt(boxes []connset.Box, scope connset.Scope, set map[string]string) []connset.Box {
	var out []connset.Box
	for _, box := range boxes {
		if here, ok := box.At(scope, set); ok {
			out = append(out, here)
		}
	}
	return out
}

// witness fills in an example from what is left: with existing pods at both ends, if possible.
func (d *declared) witness(w *Widening, at *world.Namespace, left []connset.Box) {
	best, score := left[0], -1
	for _, box := range left {
		if s := 2*min(1, len(d.subjectsIn(box))) + min(1, len(d.peersAt(at, box))); s > score {
			best, score = box, s
		}
	}
	w.Subject, w.Peer, w.Namespace = best.Example(connset.Subject), best.Example(connset.Peer), best.Example(connset.Namespace)
	var subject *world.Pod
	if subjects := d.subjectsIn(best); len(subjects) > 0 {
		subject, w.SubjectPod, w.Subject = subjects[0], subjects[0].Pod, subjects[0].Labels
	}
	w.IsPod = best.Kinds == connset.Pods
	if at != elsewhere {
		w.Namespace = at.Labels
	}
	addresses := best.Addresses
	if private := addresses.Intersect(privateNetworks); w.IsPod && !private.IsEmpty() {
		addresses = private
	}
	w.Address = exampleAddress(addresses)
	if peers := d.peersAt(at, best); len(peers) > 0 {
		w.PeerPod, w.Peer = peers[0].Pod, peers[0].Labels
		if i := slices.IndexFunc(peers[0].Addresses, best.Addresses.Contains); i >= 0 {
			w.Address = peers[0].Addresses[i]
		}
	}
	w.Port = d.examplePort(best.Ports, subject)
	w.By = d.isolating(w.Subject)
}

// exampleAddress prefers an address that people recognise as an example (RFC 5737, RFC 3849).
func exampleAddress(addresses connset.Addresses) netip.Addr {
	for _, text := range []string{"203.0.113.7", "10.0.0.7", "192.168.0.7", "172.16.0.7", "2001:db8::7", "fd00::7"} {
		if address := netip.MustParseAddr(text); addresses.Contains(address) {
			return address
		}
	}
	return addresses.Example()
}

// examplePort prefers a port that the pod listens on, then one that the AppTiers name, so that the example is realistic
// if every port is opened.
func (d *declared) examplePort(ports connset.Ports, pod *world.Pod) connset.Port {
	var port connset.Port
	if pod != nil && d.direction == ingress {
		for _, declared := range pod.Ports {
			if port = connset.PortOf(declared.Protocol, declared.ContainerPort); ports.Contains(port) {
				return port
			}
		}
	}
	for _, box := range d.boxes {
		for port = range box.Ports.Intersect(ports).Spans {
			if port.Number() > 1 {
				return port
			}
		}
	}
	if port = connset.PortOf(corev1.ProtocolTCP, 80); ports.Contains(port) {
		return port
	}
	for port = range ports.Spans {
		if port.Protocol() != "" {
			break
		}
	}
	return port
}

func (d *declared) subjectsIn(box connset.Box) []*world.Pod {
	return world.OnPodNetwork(d.Matching(d.Here, box, connset.Subject))
}

// peersAt are pods at a place that are peers in a box.
func (d *declared) peersAt(at *world.Namespace, box connset.Box) []*world.Pod {
	if box.Kinds != connset.Pods {
		return nil
	}
	in := d.Strange
	if at != elsewhere {
		in = []*world.Namespace{at}
	}
	var out []*world.Pod
	for _, c := range in {
		out = append(out,
			world.Where(d.Matching(c, box, connset.Peer), func(pod *world.Pod) bool { return !pod.Spec.HostNetwork && world.IsPeer(&box, pod) })...)
	}
	return out
}

// isolating are the policies of AppTiers that select a pod with these labels.
func (d *declared) isolating(set map[string]string) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, g := range d.by {
		if g.Selected.Match(connset.Subject, set) {
			out = append(out, g.NetworkPolicy)
		}
	}
	return out
}
