package attack

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// attack is one way around the rules, and what shows that it is closed.
type attack struct {
	// name is unique, and says what is sent in a few words.
	name string
	by   attacker
	// wirings are all, unless some are named.
	wirings []lab.Wiring
	// family is both, unless one is named.
	family family
	// policies are sets of policies, each of which must hold by itself; see defaults.
	policies []policies
	// objects changes what the API server says, after the policies are in it.
	objects func(s *scene, objects *reach.Snapshot)
	// rules makes the node enforce policies, until stop is called; by default it loads what they compile to.
	rules func(s *scene, a attack, p policies) (stop func())
	// bare takes away what protects; by default that is all rules.
	bare func(s *scene)
	// unjudged says that it gets through nevertheless, and for which reason the node is not ready then.
	unjudged health.Reason
	// given happens before the policies are loaded, while the rules let everything pass.
	given func(s *scene)
	// try attacks, and tells whether it gets through.
	try func(s *scene) bool
	// beside tells whether what is allowed passes. By default it is the attacker's TCP to port 80 of the
	// victim.
	beside func(s *scene) bool
}

// family says by which versions of IP an attack is tried.
type family int

const (
	both family = iota
	only4
	only6
)

// policies are the specs, in YAML, of policies of the namespace x, where attacker, victim and friend live,
// labelled app=a, app=b and app=c.
type policies []string

// defaults isolate the victim from a pod that may send what it likes, the attacker from a pod that may get
// anything, and both. TCP port 80 alone is allowed.
func defaults() []policies {
	const (
		victim   = `{podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress], ingress: [{ports: [{port: 80}]}]}`
		attacker = `{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}`
		all      = `{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: 80}]}], egress: [{ports: [{port: 80}]}]}`
	)
	return []policies{{victim}, {attacker}, {all}}
}

// always are the defaults, and no policies at all: what never passes between pods.
func always() []policies { return append(defaults(), policies{}) }

func (a attack) versions() []bool {
	return map[family][]bool{both: {false, true}, only4: {false}, only6: {true}}[a.family]
}

// run tries an attack in every wiring and family, and records what came of it.
func run(t *testing.T, a attack) {
	if len(a.wirings) == 0 {
		a.wirings = lab.Wirings()
	}
	if len(a.policies) == 0 {
		a.policies = defaults()
	}
	if a.beside == nil {
		a.beside = func(s *scene) bool { return s.connects(s.attacker, s.victim, corev1.ProtocolTCP, 80) }
	}
	if a.bare == nil {
		a.bare = func(s *scene) { s.lab.Unload(s.t) }
	}
	t.Parallel()
	for _, wiring := range a.wirings {
		for _, v6 := range a.versions() {
			t.Run(fmt.Sprintf("%s, %s", wiring.Name, version(v6)), func(t *testing.T) {
				t.Parallel()
				try(t, a, wiring, v6)
			})
		}
	}
}

func version(v6 bool) string {
	if v6 {
		return "IPv6"
	}
	return "IPv4"
}

func try(t *testing.T, a attack, wiring lab.Wiring, v6 bool) {
	s := newScene(t, a.by, wiring, v6)
	if a.given != nil {
		// Without rules that ask for connections the kernel keeps none in mind.
		s.load(attack{}, policies{}, 1)
		a.given(s)
	}
	r := result{attack: a.name, by: a.by.name, wiring: wiring.Name + ", " + version(v6), unjudged: a.unjudged, beside: true}
	for i, p := range a.policies {
		stop := func() {}
		if a.rules != nil {
			stop = a.rules(s, a, p)
		} else {
			s.load(a, p, uint16(i+2))
		}
		s.patience = idle
		through := a.try(s)
		r.with = r.with || through
		switch {
		case a.unjudged != "":
			s.checkUnjudged(a.unjudged, through)
		case through:
			t.Errorf("the rules let it through: %s", p)
		}
		s.patience = soon
		if !a.beside(s) {
			r.beside = false
			t.Errorf("the rules drop what is allowed beside it: %s", p)
		}
		stop()
	}
	a.bare(s)
	if r.without = a.try(s); !r.without {
		t.Error("it does not get through without rules either, so this test cannot tell")
	}
	results.add(r)
}

// checkUnjudged wants the node not to be ready because of what gets through.
func (s *scene) checkUnjudged(reason health.Reason, through bool) {
	s.t.Helper()
	if !through {
		s.t.Error("the rules do not let it through, so nothing has to be said of it")
	}
	problems := s.looks.Problems(time.Now())
	if !slices.ContainsFunc(problems, func(p health.Problem) bool { return p.Reason == reason && p.Severity == health.NotReady }) {
		s.t.Errorf("nobody says that the node is not ready: %v", problems)
	}
}

// load makes the node enforce policies, and know its pods' links.
func (s *scene) load(a attack, p policies, generation uint16) {
	s.t.Helper()
	objects := s.objects(a, p)
	lab.Must(s.t, s.looks.Links.Refresh())
	found, err := s.looks.Sync(s.t.Context(), s.lab.Given())
	lab.Must(s.t, err)
	s.lab.Links = found
	s.lab.Load(s.t, objects, generation)
}

// objects are what the API server says.
func (s *scene) objects(a attack, p policies) reach.Snapshot {
	s.t.Helper()
	objects := s.lab.Shop()
	for i, spec := range p {
		objects.Policies = append(objects.Policies, lab.Policy(s.t, fmt.Sprintf("policy-%d", i), spec))
	}
	if a.objects != nil {
		a.objects(s, &objects)
	}
	return objects
}
