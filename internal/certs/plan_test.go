package certs

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
)

// lag is for how long an API server of the histories may go by an earlier configuration: less than settle.
const lag = settle - 5*time.Second

var epoch = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

// history is a cluster: what is stored, API servers that follow it late, and replicas whose steps
// interleave in any order.
type history struct {
	now      time.Time
	secret   map[string][]byte
	secretAt int // resource version
	bundles  []version
	seen     []int // by each API server: an index of bundles
	replicas []*replica
}

type version struct {
	bundle []byte
	at     time.Time
}

type replica struct {
	since  map[string]time.Time
	served *tls.Certificate
	// What was read for the next step, and what it will be.
	hasConfiguration   bool
	bundle             []byte
	bundleAt, secretAt int
	next               *step
}

// newHistory starts with an authority that has this long to live.
func newHistory(left time.Duration) *history {
	h := &history{now: epoch, bundles: []version{{at: epoch}}, seen: make([]int, 1), replicas: []*replica{{}, {}}}
	authority, key, err := newAuthority(epoch.Add(left - authorityLifetime))
	if err != nil {
		panic(err) // no randomness, no certificate
	}
	h.setSecret(map[string][]byte{authoritiesKey: encodeOne(authority.Raw), authorityKeyKey: key})
	h.calm()
	return h
}

// proceed takes the next part of a replica's step: reading the configuration, reading the Secret and
// deciding, or writing.
func (h *history) proceed(r *replica) error {
	latest := len(h.bundles) - 1
	switch {
	case r.next != nil:
		h.write(r)
		r.hasConfiguration, r.next = false, nil
	case !r.hasConfiguration:
		r.hasConfiguration, r.bundle, r.bundleAt = true, h.bundles[latest].bundle, latest
	default:
		v := view{
			now: h.now, names: []string{"webhook"}, bundles: [][]byte{r.bundle, r.bundle}, secret: h.secret,
			since: r.since, served: r.served, adopt: true,
		}
		v.since = observe(v)
		decided, err := next(v)
		if err != nil {
			return err
		}
		r.since, r.served, r.secretAt, r.next = v.since, decided.serve, h.secretAt, &decided
	}
	return nil
}

// write is refused if someone else has written since.
func (h *history) write(r *replica) {
	switch {
	case r.next.secret != nil && r.secretAt == h.secretAt:
		h.setSecret(r.next.secret)
	case r.next.bundle != nil && r.bundleAt == len(h.bundles)-1:
		h.bundles = append(h.bundles, version{bundle: r.next.bundle, at: h.now})
	}
}

func (h *history) setSecret(data map[string][]byte) {
	h.secret = maps.Clone(data)
	h.secretAt++
}

// pass lets time go by, and API servers catch up as far as they must have by then.
func (h *history) pass(d time.Duration) {
	h.now = h.now.Add(d)
	for i := range h.seen {
		for h.seen[i]+1 < len(h.bundles) && !h.bundles[h.seen[i]+1].at.Add(lag).After(h.now) {
			h.seen[i]++
		}
	}
}

// steps lets everyone come to the end of what is to be done now.
func (h *history) steps() {
	for quiet := 0; quiet < 5; quiet++ {
		before := h.secretAt + len(h.bundles)
		for _, r := range h.replicas {
			if err := h.proceed(r); err != nil {
				panic(err) // no randomness, no certificate
			}
		}
		if h.secretAt+len(h.bundles) != before {
			quiet = 0
		}
	}
}

// calm lets everyone come to the end of what there is to do, and to wait for.
func (h *history) calm() {
	h.steps()
	h.pass(settle)
	h.steps()
	h.pass(settle)
}

// distrusted says which replica an API server would not trust now, or "".
func (h *history) distrusted() string {
	for i, r := range h.replicas {
		for j, index := range h.seen {
			if r.served != nil && signedBy(parse(h.bundles[index].bundle), r.served, "webhook", h.now) == nil {
				return fmt.Sprintf("%s: replica %d serves a certificate of %q, which API server %d does not trust", h.now.Sub(epoch), i, r.served.Leaf.Issuer, j)
			}
		}
	}
	return ""
}

// foreign is a Secret that is as it should be, with an authority that nobody knows.
func foreign(now time.Time) map[string][]byte {
	authority, key, err := newAuthority(now)
	if err != nil {
		panic(err)
	}
	data := map[string][]byte{authoritiesKey: encodeOne(authority.Raw), authorityKeyKey: key}
	data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey], err = newServer(now, []string{"webhook"}, authority, read(data).signer, false)
	if err != nil {
		panic(err)
	}
	return data
}

// Whatever happens, in whatever order: what a replica serves is what every API server trusts.
func TestServedIsTrusted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(authorityLookahead + 15*24*time.Hour)
		isRestored := false
		anyReplica := func() *replica { return h.replicas[rapid.IntRange(0, len(h.replicas)-1).Draw(t, "replica")] }
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if problem := h.distrusted(); problem != "" {
					t.Fatal(problem)
				}
			},
			"replicas proceed": func(t *rapid.T) {
				for range rapid.IntRange(1, 16).Draw(t, "steps") {
					if err := h.proceed(anyReplica()); err != nil {
						t.Fatal(err)
					}
					if problem := h.distrusted(); problem != "" {
						t.Fatal(problem)
					}
				}
			},
			"replica restarts": func(t *rapid.T) {
				if isRestored { // what it would find is nothing that replicas brought about
					h.calm()
					isRestored = false
				}
				*anyReplica() = replica{}
			},
			"Secret is restored": func(t *rapid.T) {
				if slices.ContainsFunc(h.replicas, func(r *replica) bool { return r.served == nil }) {
					h.calm() // one that serves nothing has nothing to keep
				}
				h.setSecret(foreign(h.now))
				isRestored = true
			},
			"seconds pass":      func(t *rapid.T) { h.pass(time.Duration(rapid.IntRange(1, 15).Draw(t, "seconds")) * time.Second) },
			"Secret is emptied": func(*rapid.T) { h.setSecret(nil) },
			"server certificate is lost": func(*rapid.T) {
				h.setSecret(view{secret: h.secret}.with(map[string][]byte{corev1.TLSCertKey: nil}))
			},
			"API server catches up": func(t *rapid.T) {
				h.seen[rapid.IntRange(0, len(h.seen)-1).Draw(t, "API server")] = len(h.bundles) - 1
			},
			"days pass": func(t *rapid.T) {
				h.calm()
				isRestored = false
				h.pass(time.Duration(rapid.IntRange(1, 25).Draw(t, "days")) * 24 * time.Hour)
			},
		})
		h.calm()
		authorities := parse(h.secret[authoritiesKey])
		for i, r := range h.replicas {
			if r.served == nil || signedBy(authorities[:1], r.served, "webhook", h.now) == nil {
				t.Fatalf("in the end, replica %d does not serve a certificate of the newest authority", i)
			}
		}
	})
}

// calmed is a view of one replica after it has done all there is to do, without anybody waiting.
func (v view) calmed(t *testing.T) view {
	t.Helper()
	v.bundles = slices.Clone(v.bundles)
	for range 20 {
		v.since = observe(v)
		step, err := next(v)
		if err != nil {
			t.Fatal(err)
		}
		v.served = step.serve
		differs := slices.IndexFunc(v.bundles, func(b []byte) bool { return step.bundle != nil && !slices.Equal(b, step.bundle) })
		switch {
		case step.secret != nil:
			v.secret = step.secret
		case differs >= 0:
			v.bundles[differs] = step.bundle
		default:
			return v
		}
	}
	t.Fatal("it does not come to an end")
	return v
}

// An authority that somebody wrote where authorities are announced, in one place or in all, is trusted nowhere else, and not for
// long there; and what is served stays trusted, also if the Secret is lost.
func TestNobodysAuthorityIsAdopted(t *testing.T) {
	begun := view{now: epoch, names: []string{"connections"}, bundles: [][]byte{nil, nil}}.calmed(t)
	own := parse(begun.bundles[0])[0]
	forged := foreign(epoch)[authoritiesKey]
	both := append(slices.Clone(begun.bundles[0]), forged...)
	for name, test := range map[string]struct {
		bundles             [][]byte
		isEmptied, restarts bool
		keepsOwn            bool
	}{
		"in place of ours, in one place":          {[][]byte{forged, begun.bundles[1]}, false, false, true},
		"in place of ours, in all":                {[][]byte{forged, forged}, false, false, true},
		"beside ours, and the Secret is lost":     {[][]byte{both, begun.bundles[1]}, true, false, true},
		"beside ours in all, the Secret is lost":  {[][]byte{both, both}, true, false, true},
		"in place of ours, the Secret is lost":    {[][]byte{forged, begun.bundles[1]}, true, false, true},
		"and nobody serves, the Secret is there":  {[][]byte{forged, forged}, false, true, true},
		"and nobody serves, the Secret is lost":   {[][]byte{both, both}, true, true, false},
		"nowhere, and the Secret is lost":         {begun.bundles, true, false, true},
		"nowhere, and the Secret is as it should": {begun.bundles, false, false, true},
	} {
		v := begun
		v.bundles = test.bundles
		if test.isEmptied {
			v.secret = nil
		}
		if test.restarts {
			v.served, v.since = nil, nil
		}
		v = v.calmed(t)
		for i, bundle := range append(v.bundles, v.secret[authoritiesKey]) {
			if contains(parse(bundle), parse(forged)[0]) {
				t.Errorf("%s: it is trusted in place %d", name, i)
			}
			if contains(parse(bundle), own) != test.keepsOwn {
				t.Errorf("%s: ours is trusted in place %d: %t", name, i, !test.keepsOwn)
			}
		}
		if v.trustedAuthorityOf(v.served) == nil {
			t.Errorf("%s: what is served in the end is not trusted", name)
		}
	}
}

// A rotation, step by step: announced, served after a while, and the old authority trusted for longer.
func TestRotation(t *testing.T) {
	h := newHistory(authorityLifetime)
	first := parse(h.secret[authoritiesKey])[0]
	served := func() bool { return h.replicas[0].served.Leaf.CheckSignatureFrom(first) == nil }
	trusts := func() int { return len(parse(h.bundles[len(h.bundles)-1].bundle)) }
	expect := func(when string, isFirst bool, trusted int) {
		t.Helper()
		if served() != isFirst || trusts() != trusted {
			t.Fatalf("%s: by the first authority: %t, want %t; %d authorities trusted, want %d", when, served(), isFirst, trusts(), trusted)
		}
	}
	expect("at first", true, 1)

	due := first.NotAfter.Add(-authorityLookahead)
	for h.now.Before(due) {
		h.steps()
		expect("before it is time", true, 1)
		h.pass(min(20*24*time.Hour, due.Sub(h.now)))
	}
	h.steps()
	expect("when it is time", true, 2)
	h.pass(settle - time.Second)
	h.steps()
	expect("before every API server has seen it", true, 2)
	h.pass(time.Second)
	h.steps()
	expect("when every API server has", false, 2)
	h.pass(overlap - time.Second)
	h.steps()
	expect("before the end of the overlap", false, 2)
	h.pass(time.Second)
	h.steps()
	expect("after the overlap", false, 1)
}

// A certificate is usable from when it is made until it is renewed, by the names of the Service.
func TestServerCertificate(t *testing.T) {
	names := Options{Service: "webhook"}.dnsNames()
	authority, key, err := newAuthority(epoch)
	if err != nil {
		t.Fatal(err)
	}
	signer := read(map[string][]byte{authoritiesKey: encodeOne(authority.Raw), authorityKeyKey: key}).signer
	certificate, serverKey, err := newServer(epoch, names, authority, signer, false)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		at   time.Time
		want bool
	}{
		{names[0], epoch, true},
		{names[1], epoch, true},
		{names[0], epoch.Add(-backdate), true},
		{names[0], epoch.Add(-backdate - time.Second), false},
		{names[0], epoch.Add(serverLifetime), true},
		{names[0], epoch.Add(serverLifetime + time.Second), false},
		{"another", epoch, false},
	} {
		if got := signedBy(parse(encodeOne(authority.Raw)), &pair, test.name, test.at) != nil; got != test.want {
			t.Errorf("%s at %s: valid %t, want %t", test.name, test.at, got, test.want)
		}
	}
}
