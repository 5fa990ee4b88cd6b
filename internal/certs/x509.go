package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Keys of the Secret, beside those that Kubernetes defines.
const (
	authoritiesKey  = "ca.crt" // the newest first
	authorityKeyKey = "ca.key" // of the newest
)

// holding is the readable content of a Secret: the rest is created again, as if it did not exist.
type holding struct {
	authorities []*x509.Certificate // the newest first
	signer      crypto.Signer       // of the first authority, or nil
	server      *tls.Certificate    // or nil
}

func read(secret map[string][]byte) holding {
	h := holding{authorities: parse(secret[authoritiesKey])}
	if pair, err := tls.X509KeyPair(secret[authoritiesKey], secret[authorityKeyKey]); err == nil {
		h.signer, _ = pair.PrivateKey.(crypto.Signer)
	}
	if pair, err := tls.X509KeyPair(secret[corev1.TLSCertKey], secret[corev1.TLSPrivateKeyKey]); err == nil {
		h.server = &pair
	}
	return h
}

// parse returns no certificates where there are none, or none that can be read.
func parse(bundle []byte) []*x509.Certificate {
	certificates, err := cert.ParseCertsPEM(bundle)
	if err != nil {
		return nil
	}
	return certificates
}

func encode(certificates []*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, encodeOne(c.Raw)...)
	}
	return out
}

func contains(certificates []*x509.Certificate, wanted *x509.Certificate) bool {
	return slices.ContainsFunc(certificates, wanted.Equal)
}

// unexpired returns the certificates that are still valid.
func unexpired(certificates []*x509.Certificate, now time.Time) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(certificates), func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
}

// signedBy returns the authority that makes a server's certificate valid at a time for a name, or nil.
func signedBy(authorities []*x509.Certificate, server *tls.Certificate, name string, at time.Time) *x509.Certificate {
	for _, authority := range authorities {
		roots := x509.NewCertPool()
		roots.AddCert(authority)
		if _, err := server.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at}); err == nil {
			return authority
		}
	}
	return nil
}

// newAuthority makes a certificate that signs others, and its key as PEM.
func newAuthority(now time.Time) (*x509.Certificate, []byte, error) {
	template := &x509.Certificate{
		// With its time in the name, no authority is taken for another.
		Subject:               pkix.Name{CommonName: "apptier-ca-" + now.UTC().Format(time.RFC3339), Organization: []string{"apptier"}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	raw, key, err := issue(template, template, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("making an authority for a certificate: %w", err)
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the authority just made: %w", err)
	}
	return made, key, nil
}

// newServer makes a server's certificate and its key, both as PEM.
func newServer(
	now time.Time, names []string, authority *x509.Certificate, signer crypto.Signer, asClient bool,
) (certificate, key []byte, err error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		DNSNames:    names,
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.Add(serverLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if asClient {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	raw, key, err := issue(template, authority, signer)
	if err != nil {
		return nil, nil, fmt.Errorf("making a server's certificate: %w", err)
	}
	return encodeOne(raw), key, nil
}

// issue makes a key, and a certificate of it. Without a signer, it signs itself.
func issue(template, parent *x509.Certificate, signer crypto.Signer) (raw, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if signer == nil {
		signer = key
	}
	// 128 random bits; the CA/Browser Forum's baseline requirements (7.1) require at least 64.
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128)); err != nil {
		return nil, nil, err
	}
	if raw, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer); err != nil {
		return nil, nil, err
	}
	keyPEM, err = keyutil.MarshalPrivateKeyToPEM(key)
	return raw, keyPEM, err
}

func encodeOne(raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: raw})
}
