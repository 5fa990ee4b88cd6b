package certs

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// view is what a replica sees of the rotation. Places must be read before the Secret: one
// that trusts an authority is then never seen beside a Secret that does not know it yet.
type view struct {
	now time.Time
	// names are those of the server's certificate.
	names []string
	// bundles are those of the places where authorities are announced.
	bundles [][]byte
	// secret is the data of the Secret.
	secret map[string][]byte
	// since is when this replica first saw an authority in every bundle, by its raw bytes.
	since map[string]time.Time
	// served is what this replica serves, or nil.
	served *tls.Certificate
	// settle is for how long to wait until everybody has seen an authority; of API servers if it is 0.
	settle time.Duration
	// asClient is for a certificate that is shown to servers, too.
	asClient bool
	// adopt takes over authorities that bundles have and the Secret has not.
	adopt bool
}

// step is what a replica does next: at most one write, since what follows depends on whether it succeeds.
type step struct {
	// secret is what to write into the Secret, if it is not nil.
	secret map[string][]byte
	// bundle is what to write into a bundle that differs from it, if it is not nil.
	bundle []byte
	// serve is the certificate to serve, which may be the one before.
	serve *tls.Certificate
	// again is when to look again if nothing happens.
	again time.Duration
}

// next decides on the next step. An authority is announced in every place before, and for longer than, any
// certificate that it signed is served.
func next(v view) (step, error) {
	have := read(v.secret)
	serve, again := v.serve(have.server)
	out := step{serve: serve, again: again}
	authorities, key, err := v.authorities(have)
	if err != nil {
		return out, err
	}
	announced := encode(authorities)
	if key != nil || !bytes.Equal(announced, v.secret[authoritiesKey]) {
		out.secret = v.with(map[string][]byte{authoritiesKey: announced})
		if key != nil {
			out.secret[authorityKeyKey] = key
		}
		return out, nil
	}
	if slices.ContainsFunc(v.bundles, func(b []byte) bool { return !bytes.Equal(b, announced) }) {
		out.bundle = announced
		return out, nil
	}
	if have.server != nil && signedBy(authorities[:1], have.server, v.names[0], v.now.Add(serverLookahead)) != nil {
		return out, nil
	}
	if wait := v.wait(have); wait > 0 {
		out.again = min(out.again, wait)
		return out, nil
	}
	certificate, serverKey, err := newServer(v.now, v.names, authorities[0], have.signer, v.asClient)
	out.secret = v.with(map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: serverKey})
	return out, err
}

// authorities returns the authorities that the API server should trust, the newest first, and the key of the
// newest if it is new.
func (v view) authorities(have holding) (wanted []*x509.Certificate, key []byte, err error) {
	wanted = unexpired(have.authorities, v.now)
	usable := have.signer != nil && len(wanted) > 0 && wanted[0].Equal(have.authorities[0]) &&
		wanted[0].IsCA && wanted[0].NotAfter.After(v.now.Add(authorityLookahead))
	if !usable {
		made, madeKey, err := newAuthority(v.now)
		if err != nil {
			return nil, nil, err
		}
		wanted, key = slices.Insert(wanted, 0, made), madeKey
	}
	if !v.trusted(wanted[0]) {
		for _, before := range v.adopted() {
			if !contains(wanted, before) {
				wanted = append(wanted, before)
			}
		}
		return wanted, key, nil
	}
	if have.server != nil && signedBy(wanted[:1], have.server, v.names[0], v.now) != nil &&
		!v.now.Before(have.server.Leaf.NotBefore.Add(backdate+overlap)) {
		wanted = wanted[:1]
	}
	return wanted, key, nil
}

// adopted are authorities to trust on, whether the Secret has them or not. What is trusted until now is what is served until now,
// also if the Secret has lost it. But somebody may have written one: then only what this replica serves says whose it is.
func (v view) adopted() (out []*x509.Certificate) {
	for _, bundle := range v.bundles {
		announced := unexpired(parse(bundle), v.now)
		if v.adopt {
			out = append(out, announced...)
			continue
		}
		if v.served == nil {
			continue
		}
		if by := signedBy(announced, v.served, v.names[0], v.now); by != nil {
			out = append(out, by)
		}
	}
	return out
}

// trusted says whether every bundle has an authority.
func (v view) trusted(authority *x509.Certificate) bool {
	return !slices.ContainsFunc(v.bundles, func(b []byte) bool { return !contains(parse(b), authority) })
}

// trustedAuthorityOf returns the authority, of those in every bundle, that makes a certificate valid now,
// or nil.
func (v view) trustedAuthorityOf(server *tls.Certificate) *x509.Certificate {
	if server == nil || len(v.bundles) == 0 {
		return nil
	}
	everywhere := slices.DeleteFunc(parse(v.bundles[0]), func(c *x509.Certificate) bool { return !v.trusted(c) })
	return signedBy(everywhere, server, v.names[0], v.now)
}

// unsettled is for how long to wait until everybody who calls trusts an authority.
func (v view) unsettled(authority *x509.Certificate) time.Duration {
	wait := cmp.Or(v.settle, settle)
	since, ok := v.since[string(authority.Raw)]
	if !ok {
		return wait
	}
	return since.Add(wait).Sub(v.now)
}

// wait is for how long to wait before a certificate of the newest authority may be in the Secret. There
// is nothing to wait for if what is served now, if anything, is not trusted anyway.
func (v view) wait(have holding) time.Duration {
	isFirst := have.server == nil && len(have.authorities) == 1
	isBroken := have.server != nil && v.trustedAuthorityOf(have.server) == nil
	if isFirst || isBroken {
		return 0
	}
	return v.unsettled(have.authorities[0])
}

// serve returns what to serve, and when to look again: the Secret's certificate, once it is as trusted as
// what is served until then.
func (v view) serve(offered *tls.Certificate) (serve *tls.Certificate, again time.Duration) {
	authority := v.trustedAuthorityOf(offered)
	if authority == nil {
		return v.served, checkEvery
	}
	if wait := v.unsettled(authority); wait > 0 && v.trustedAuthorityOf(v.served) != nil && !offered.Leaf.Equal(v.served.Leaf) {
		return v.served, min(wait, checkEvery)
	}
	return offered, checkEvery
}

// with returns the Secret's data with some of it replaced.
func (v view) with(replaced map[string][]byte) map[string][]byte {
	data := maps.Clone(v.secret)
	if data == nil {
		data = map[string][]byte{}
	}
	maps.Copy(data, replaced)
	return data
}

// observe returns since when each authority is in every bundle, from what was known before.
func observe(v view) map[string]time.Time {
	seen := map[string]time.Time{}
	for _, bundle := range v.bundles {
		for _, authority := range parse(bundle) {
			if !v.trusted(authority) {
				continue
			}
			key := string(authority.Raw)
			seen[key] = v.now
			if before, ok := v.since[key]; ok {
				seen[key] = before
			}
		}
	}
	return seen
}
