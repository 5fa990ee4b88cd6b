package serving

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"time"
)

// identity is what the manager knows a process by: a key that is never written, so that nobody else answers for it.
type identity struct {
	certificate tls.Certificate
	fingerprint string
}

// lifetime of the certificate, which ends with the process: only its fingerprint is looked at.
const lifetime = 10 * 365 * 24 * time.Hour

func newIdentity(node string) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, fmt.Errorf("making a key to serve connections with: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return identity{}, fmt.Errorf("making a certificate to serve connections with: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: node}, SerialNumber: serial, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return identity{}, fmt.Errorf("making a certificate to serve connections with: %w", err)
	}
	sum := sha256.Sum256(raw)
	return identity{tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, hex.EncodeToString(sum[:])}, nil
}

// config asks each client for a certificate of an authority in a file, for a name and the use as a client.
func (i identity) config(authorities, client string) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{i.certificate},
		ClientAuth:   tls.RequireAnyClientCert,
		// A session that is taken up again would not show the certificate again, which may not be trusted any more.
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			roots, err := readAuthorities(authorities)
			if err != nil {
				return err
			}
			_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: roots, DNSName: client, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			})
			return err
		},
	}
}

var errNoAuthority = errors.New("there is no authority yet by which to know the manager")

// mostAuthorities is how much is read of the file.
const mostAuthorities = 64 << 10

func readAuthorities(file string) (*x509.CertPool, error) {
	from, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoAuthority
	}
	if err != nil {
		return nil, err
	}
	defer from.Close()
	text, err := io.ReadAll(io.LimitReader(from, mostAuthorities))
	if err != nil {
		return nil, fmt.Errorf("reading by which authorities to know the manager: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errNoAuthority
	}
	return roots, nil
}
