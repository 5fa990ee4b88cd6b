package widening

import (
	"slices"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// isolated returns the connections of the policy's pods that a policy of an AppTier isolates. If one selector includes
// the other, this includes pods that do not exist yet. If they ask for different labels, any pod could have both: existing
// pods are certain, and while no pod of the judged policy is known, any other is possible.
func (d *declared) isolated() (certain, possible []connset.Box) {
	selected, subjects := []connset.Box{d.Policy.Selected}, d.Subjects()
	for _, g := range d.by {
		if !d.Work.Spend(1) || !d.Policy.Selected.Overlaps(g.Selected) {
			continue
		}
		both, theirs := d.Policy.Selected.Intersect(g.Selected), []connset.Box{g.Selected}
		if world.IsWithin(selected, theirs) || world.IsWithin(theirs, selected) {
			certain = append(certain, both)
			continue
		}
		for _, pod := range d.unlike(both, subjects) {
			certain = append(certain, d.exactly(both, pod))
		}
		if len(subjects) == 0 {
			possible = append(possible, both)
		}
	}
	return certain, possible
}

// onlyOf returns the connections of a box, on any port, that are of some pods.
func onlyOf(box connset.Box, pods []connset.Box) []connset.Box {
	box.Ports = connset.AllPorts()
	if box.Kinds&connset.Others != 0 {
		// For everyone, and for addresses, it is enough to look at ends that are not pods: an AppTier
		// allows a pod all that it allows the pod's address.
		box.Kinds, box.Addresses = connset.Others, box.Addresses.Minus(loopback)
	}
	if box.IsEmpty() {
		return nil
	}
	box = box.Without(connset.Subject, func(string) bool { return true }) // the pods are all selected
	out := make([]connset.Box, len(pods))
	for i, of := range pods {
		out[i] = of.Intersect(box)
	}
	return out
}

// unlike returns one pod of the box for each set of labels that selectors ask for.
func (d *declared) unlike(box connset.Box, pods []*world.Pod) []*world.Pod {
	keys := d.subjectKeys(box)
	seen := map[string]bool{}
	if !d.Work.Spend(len(pods)) {
		return nil
	}
	return world.Where(pods, func(pod *world.Pod) bool {
		asked := map[string]string{}
		for _, key := range keys {
			if value, found := pod.Labels[key]; found {
				asked[key] = value
			}
		}
		first := !seen[words.Labels(asked)]
		seen[words.Labels(asked)] = true
		return first && box.Match(connset.Subject, pod.Labels)
	})
}

// subjectKeys are the labels of subjects that a box, or anything declared, asks for.
func (d *declared) subjectKeys(box connset.Box) []string {
	keys := slices.Concat(box.Labels(connset.Subject), d.keys)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// exactly returns the part of a box for pods that no selector can distinguish from one pod.
func (d *declared) exactly(box connset.Box, pod *world.Pod) connset.Box {
	for _, key := range d.subjectKeys(box) {
		values := connset.Missing()
		if value, found := pod.Labels[key]; found {
			values = connset.OneOf(value)
		}
		box = box.Where(connset.Label{Scope: connset.Subject, Key: key}, values)
	}
	return box
}
