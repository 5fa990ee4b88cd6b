package compile

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/apptier/apptier/policy/rule"
)

// selector is a peer that selects pods. Peers that mean the same have the same text, and so share
// their sets.
type selector struct {
	text string
	// names are those of the only namespaces that it can be about; nil if it names none.
	names []string
	// namespaces is nil when the peer means its policy's own namespace.
	namespaces labels.Selector
	pods       labels.Selector
	// sets are those that hold the selected pods' addresses of a family.
	sets map[family]*setSpec
}

// in tells whether the selector is about pods of a namespace.
func (s *selector) in(n *namespace) bool {
	return (s.names == nil || slices.Contains(s.names, n.name)) && (s.namespaces == nil || s.namespaces.Matches(n.labels))
}

// newSelector returns the selector of a peer.
func newSelector(peer rule.Pods) *selector {
	s := &selector{pods: peer.Labels, namespaces: peer.Namespaces}
	if s.namespaces == nil {
		s.names = []string{peer.Namespace}
		s.called(describe("namespace "+peer.Namespace, s.pods))
		return s
	}
	s.names = namesOf(s.namespaces)
	if text := canonical(s.namespaces); text == "" {
		s.called(describe("any namespace", s.pods))
	} else {
		s.called(describe("namespaces "+text, s.pods))
	}
	return s
}

func describe(where string, pods labels.Selector) string {
	if text := canonical(pods); text != "" {
		return where + " pods " + text
	}
	return where + " all pods"
}

// canonical writes a selector in one way only, whatever the order of its requirements.
func canonical(s labels.Selector) string {
	requirements, _ := s.Requirements()
	texts := make([]string, 0, len(requirements))
	for _, r := range requirements {
		if r.Operator() == selection.In && r.Values().Len() == 1 {
			texts = append(texts, r.Key()+"="+r.Values().UnsortedList()[0])
			continue
		}
		texts = append(texts, r.String())
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), ",")
}

// namesOf returns the names of the only namespaces that a selector can select, or nil.
func namesOf(s labels.Selector) []string {
	requirements, _ := s.Requirements()
	for _, r := range requirements {
		if r.Key() == corev1.LabelMetadataName && (r.Operator() == selection.In || r.Operator() == selection.Equals) {
			return r.Values().UnsortedList()
		}
	}
	return nil
}

// called gives the selector its text, and the sets that are named after it.
func (s *selector) called(text string) {
	s.text, s.sets = text, map[family]*setSpec{}
	readable := strings.NewReplacer("namespaces ", "", "namespace ", "", " pods ", ".", " all pods", "",
		corev1.LabelMetadataName, "ns", "any namespace", "any").Replace(text)
	for _, f := range families {
		name := hashedName(fmt.Sprintf("pods%d", f), readable, text)
		s.sets[f] = &setSpec{name: name, set: set(addressType[f], remark(text)), family: f, selectors: []*selector{s}}
	}
}

// blocks is the set that holds these ranges. They are part of its name, so it never changes: interval
// sets are slow to.
func blocks(f family, spans []span, text string) *setSpec {
	d := &setSpec{family: f, set: set(addressType[f], remark(text))}
	d.set.Interval = true
	content := text
	for _, s := range spans {
		d.keys = append(d.keys, s.String())
		content += " " + s.String()
	}
	d.name = hashedName(fmt.Sprintf("block%d", f), strings.ReplaceAll(text, ":", "."), content)
	return d
}
