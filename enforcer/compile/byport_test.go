package compile

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/rule"
)

// ruleOf is a rule about these ports.
func ruleOf(spans ...portSpan) *portGroup {
	return &portGroup{port: matchNumbers(corev1.ProtocolTCP, unionPorts(spans))}
}

// Every port leads to exactly the rules that are about it, whichever of them are cut, and no two segments
// overlap. No rule is copied without bound.
func TestSegmentsAreWhatRulesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		port := rapid.OneOf(rapid.Int32Range(1, 40), rapid.Int32Range(rule.LastPort-5, rule.LastPort))
		var rules []*portGroup
		var probes []int32
		for range rapid.IntRange(1, 50).Draw(t, "rules") {
			var spans []portSpan
			for range rapid.IntRange(1, 6).Draw(t, "ranges") {
				first, last := port.Draw(t, "first"), port.Draw(t, "last")
				spans = append(spans, portSpan{min(first, last), max(first, last)})
				probes = append(probes, first-1, first, last, last+1)
			}
			rules = append(rules, ruleOf(spans...))
		}
		cut, uncut := new(buffers).segments(rules)
		copies := 0
		for i, s := range cut {
			copies += len(s.rules)
			if i > 0 && cut[i-1].last >= s.first || s.last < s.first || len(s.rules) == 0 {
				t.Fatalf("segments %v and %v", cut[max(0, i-1)], s)
			}
		}
		if free := len(rules) * (most + 6); copies > free {
			t.Fatalf("%d copies, more than %d", copies, free)
		}
		for _, at := range probes {
			about := func(s *portGroup) bool {
				return slices.ContainsFunc(s.port.spans, func(p portSpan) bool { return p.first <= at && at <= p.last })
			}
			var got []*portGroup
			for _, s := range cut {
				if s.first <= at && at <= s.last {
					got = append(got, s.rules...)
				}
			}
			got = append(got, slices.DeleteFunc(slices.Clone(uncut), func(s *portGroup) bool { return !about(s) })...)
			for _, rule := range rules {
				if about(rule) != slices.Contains(got, rule) {
					t.Fatalf("port %d, rule about %v: found %v", at, rule.port.spans, !about(rule))
				}
			}
		}
	})
}

// Ranges that nest a thousand times would be cut into a million pieces.
func TestRulesThatCrossWithoutEndAreNotCutWithoutEnd(t *testing.T) {
	var rules []*portGroup
	for i := range int32(1000) {
		rules = append(rules, ruleOf(portSpan{1 + i, rule.LastPort - 1 - i}))
	}
	cut, uncut := new(buffers).segments(rules)
	copies := 0
	for _, s := range cut {
		copies += len(s.rules)
	}
	if copies == 0 || copies > 20*len(rules) || len(uncut) == 0 {
		t.Errorf("%d copies in %d segments, %d rules are not cut", copies, len(cut), len(uncut))
	}
}

// Many ports of many policies, each with its own, are as many elements of one map.
func TestWideRulesAreFoundByPort(t *testing.T) {
	d := chainBuilder{group: &group{direction: Ingress, chain: "ingress-x"}, mergeAbove: mergeAbove, written: &writtenPages{}, buffers: &buffers{}}
	for i := range 300 {
		var spans []portSpan
		for n := range int32(50) {
			spans = append(spans, portSpan{1000 + int32(i)*100 + 2*n, 1000 + int32(i)*100 + 2*n})
		}
		p := &policy{Policy: &Policy{namespace: "shop", name: fmt.Sprint(i)}}
		p.sides = map[Direction]side{Ingress: {rules: []allowed{{peers: peers{any: true}, ports: []portMatch{ruleOf(spans...).port}}}}}
		d.group.policies = append(d.group.policies, p)
	}
	d.write()
	ports, pages := 0, 0
	for _, m := range d.specs {
		ports += len(m.verdicts)
	}
	for _, m := range d.maps {
		pages += len(m.Elements)
	}
	if len(d.rules) != 2 || ports != 300*50 || len(d.chains) != 300+len(d.specs) || pages != len(d.specs) {
		t.Errorf("%d rules, %d chains, %d ports in %d pages, %d found", len(d.rules), len(d.chains), ports, len(d.specs), pages)
	}

	// One more policy is about its own pages alone.
	before := d.specs
	p := &policy{Policy: &Policy{namespace: "shop", name: "more"}}
	p.sides = map[Direction]side{Ingress: {rules: []allowed{{peers: peers{any: true}, ports: []portMatch{ruleOf(portSpan{9, 9}, portSpan{1003, 1003}).port}}}}}
	d.group.policies = append(d.group.policies, p)
	d.portGroups, d.rules = nil, nil
	d.write()
	made := 0
	for name := range d.specs {
		if before[name] == nil {
			made++
		}
	}
	if made != 2 {
		t.Errorf("%d pages are made for two ports", made)
	}
}
