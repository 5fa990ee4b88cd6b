package compile

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/policy/rule"
)

// selector is a peer that selects pods. Peers with the same meaning have the same text, and so share their sets.
type selector struct {
	// Selector's Namespaces is nil when the peer means its policy's own namespace.
	ipset.Selector
	// sets hold the selected pods' addresses, by family.
	sets map[family]*setSpec
}

// newSelector returns the selector of a peer.
func newSelector(peer rule.Pods) *selector {
	s := &selector{Selector: ipset.Selector{Pods: peer.Labels, Namespaces: peer.Namespaces}}
	if s.Namespaces == nil {
		s.Names = []string{peer.Namespace}
		s.called(describe("namespace "+peer.Namespace, s.Pods))
		return s
	}
	s.Names = namesOf(s.Namespaces)
	if text := canonical(s.Namespaces); text == "" {
		s.called(describe("any namespace", s.Pods))
	} else {
		s.called(describe("namespaces "+text, s.Pods))
	}
	return s
}

func describe(where string, pods labels.Selector) string {
	if text := canonical(pods); text != "" {
		return where + " pods " + text
	}
	return where + " all pods"
}

// canonical writes a selector in one form for any order of its requirements.
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

// called sets the selector's text, and the sets that are named after it.
func (s *selector) called(text string) {
	s.Text, s.sets = text, map[family]*setSpec{}
	readable := strings.NewReplacer("namespaces ", "", "namespace ", "", " pods ", ".", " all pods", "",
		corev1.LabelMetadataName, "ns", "any namespace", "any").Replace(text)
	for _, f := range families {
		name := hashedName(fmt.Sprintf("pods%d", f), readable, text)
		members := ipset.Spec{Family: f, Selectors: []*ipset.Selector{&s.Selector}}
		s.sets[f] = &setSpec{name: name, set: set(addressType[f], remark(text)), Spec: members}
	}
}

// blocks is the set that holds these ranges. They are part of its name, so it never changes: interval
// sets are slow to.
func blocks(f family, spans []span, text string) *setSpec {
	d := &setSpec{set: set(addressType[f], remark(text))}
	d.set.Interval = true
	content := text
	for _, s := range spans {
		d.keys = append(d.keys, s.String())
		content += " " + s.String()
	}
	d.name = hashedName(fmt.Sprintf("block%d", f), strings.ReplaceAll(text, ":", "."), content)
	return d
}
