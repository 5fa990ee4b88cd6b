// Package assertion has the file format in which people write down which connections may pass, for "kubectl apptier
// test".
package assertion

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is of the kinds here. No API server has them: they are in files alone.
var GroupVersion = schema.GroupVersion{Group: "test.apptier.dev", Version: "v1alpha1"}

// ConnectionTest is a list of cases.
type ConnectionTest struct {
	metav1.TypeMeta `json:",inline"`
	// Its namespace is the namespace of ends that do not name one.
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Cases             []Case `json:"cases"`
}

// Case says what must be so of some connections. Exactly one of Expect and OnlyFrom is given.
type Case struct {
	// Name says in a sentence what must be so; optional.
	Name string `json:"name,omitempty"`
	// From and To are ends as "kubectl apptier can" takes them, one or several. Expect is meant of each pair.
	From Ends `json:"from,omitempty"`
	To   Ends `json:"to"`
	// Ports are the destination's: 443, "443/TCP", "8000-8010", "53/UDP", or a name. They may be left out where can does
	// without --port.
	Ports []Port `json:"ports,omitempty"`
	// Expect is allow or deny.
	Expect Verdict `json:"expect,omitempty"`
	// OnlyFrom are all who may connect: each of them must be allowed, and nobody else. An empty list is nobody at all.
	OnlyFrom *Ends `json:"onlyFrom,omitempty"`
}

// Verdict is what is expected.
type Verdict string

// Verdicts.
const (
	Allow Verdict = "allow"
	Deny  Verdict = "deny"
)

// Ends are one end or several: a text, or a list of texts.
type Ends []string

// UnmarshalJSON reads one or several.
func (e *Ends) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var one string
		err := json.Unmarshal(text, &one)
		*e = Ends{one}
		return err
	}
	var many []string
	if err := json.Unmarshal(text, &many); err != nil {
		return fmt.Errorf("an end, or a list of ends: %w", err)
	}
	*e = many
	return nil
}

// Port is a port as it is written.
type Port string

// UnmarshalJSON reads a number or a text.
func (p *Port) UnmarshalJSON(text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	switch v := value.(type) {
	case string:
		*p = Port(v)
	case float64:
		*p = Port(strconv.FormatFloat(v, 'f', -1, 64))
	default:
		return fmt.Errorf("a port is a number or a text, not %s", text)
	}
	return nil
}

// Span is a range of ports of a protocol, or a port by its name.
type Span struct {
	// Name is empty for a range.
	Name        string
	First, Last int
	// Protocol is TCP, UDP or SCTP; empty for that of a named port, or TCP.
	Protocol string
}

// Span reads the port. Its error says how ports are written.
func (p Port) Span() (Span, error) {
	text, protocol, _ := strings.Cut(string(p), "/")
	s := Span{Protocol: strings.ToUpper(protocol)}
	if !slices.Contains([]string{"", "TCP", "UDP", "SCTP"}, s.Protocol) {
		return s, fmt.Errorf("%q: the protocol %q is none of TCP, UDP and SCTP", p, protocol)
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	var err, err2 error
	s.First, err = strconv.Atoi(first)
	s.Last, err2 = strconv.Atoi(last)
	switch {
	case err != nil || err2 != nil: // names of ports hold a letter
		s.Name, s.First, s.Last = text, 0, 0
		if !strings.ContainsAny(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz") {
			return s, fmt.Errorf("%q is not a port: write 443, 443/TCP, 8000-8010 or a name", p)
		}
	case s.First < 1 || s.Last > 65535 || s.Last < s.First:
		return s, fmt.Errorf("%q: ports are from 1 to 65535, the lower first", p)
	}
	return s, nil
}

// DeepCopyObject is runtime.Object's.
func (t *ConnectionTest) DeepCopyObject() runtime.Object {
	out := *t
	t.DeepCopyInto(&out.ObjectMeta)
	out.Cases = slices.Clone(t.Cases)
	for i, c := range t.Cases {
		out.Cases[i].From, out.Cases[i].To, out.Cases[i].Ports = slices.Clone(c.From), slices.Clone(c.To), slices.Clone(c.Ports)
		if c.OnlyFrom != nil {
			only := slices.Clone(*c.OnlyFrom)
			out.Cases[i].OnlyFrom = &only
		}
	}
	return &out
}

// Problem is what is wrong with a case: the field, and what to write.
type Problem struct{ Path, What, Fix string }

// Check returns what is wrong with the case at a path, as far as it says by itself.
func (c Case) Check(path string) []Problem {
	var out []Problem
	add := func(field, what, fix string) { out = append(out, Problem{path + field, what, fix}) }
	switch {
	case c.Expect != "" && c.OnlyFrom != nil:
		add(".onlyFrom", "expect and onlyFrom are two cases", "write two cases")
	case c.Expect == "" && c.OnlyFrom == nil:
		add("", "it says nothing that must be so", "write expect: allow, expect: deny, or onlyFrom:")
	case c.OnlyFrom != nil && len(c.From) > 0:
		add(".from", "onlyFrom says from whom", "leave from out")
	case c.OnlyFrom == nil && len(c.From) == 0:
		add(".from", "it says from nobody", "write from: and an end, such as deployment/web")
	case c.Expect != "" && c.Expect != Allow && c.Expect != Deny:
		add(".expect", fmt.Sprintf("%q is not known", c.Expect), "write allow or deny")
	}
	if len(c.To) == 0 {
		add(".to", "it says to nobody", "write to: and an end, such as service/db")
	}
	for i, port := range c.Ports {
		if _, err := port.Span(); err != nil {
			out = append(out, Problem{fmt.Sprintf("%s.ports[%d]", path, i), err.Error(), "write 443, 443/TCP, 8000-8010 or a name"})
		}
	}
	return out
}
