// Package pki gives tests authorities, certificates of them, and addresses to serve at.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	PEM         []byte
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority.
func NewAuthority(t *testing.T) *Authority {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	raw, key := issue(t, template, template, nil)
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), certificate: certificate, key: key}
}

// Client is a client's certificate that is valid now.
func (a *Authority) Client(t *testing.T, name string) []tls.Certificate {
	t.Helper()
	return a.Issue(t, name, x509.ExtKeyUsageClientAuth, time.Now())
}

// Issue makes a certificate for two hours around a time.
func (a *Authority) Issue(t *testing.T, name string, use x509.ExtKeyUsage, at time.Time) []tls.Certificate {
	t.Helper()
	raw, key := issue(t, leaf(name, use, at), a.certificate, a.key)
	return []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}
}

// SelfSigned is a client's certificate of no authority.
func SelfSigned(t *testing.T, name string) []tls.Certificate {
	t.Helper()
	template := leaf(name, x509.ExtKeyUsageClientAuth, time.Now())
	raw, key := issue(t, template, template, nil)
	return []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}
}

// Files writes a certificate and its key, and returns where they are.
func Files(t *testing.T, certificate tls.Certificate) (certificateFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, raw []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("tls.crt", "CERTIFICATE", certificate.Certificate[0]), write("tls.key", "PRIVATE KEY", key)
}

func leaf(name string, use x509.ExtKeyUsage, at time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: at.Add(-time.Hour), NotAfter: at.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use}, BasicConstraintsValid: true,
	}
}

func issue(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return raw, key
}

// Free is an address at which nobody listens.
func Free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
