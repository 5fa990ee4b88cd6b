package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority is one, with the only client it has signed.
type authority struct {
	pem    []byte
	client tls.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	make := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, caKey := make(ca, ca, nil)
	client := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "apiserver"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	clientDER, clientKey := make(client, ca, caKey)
	return authority{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), tls.Certificate{Certificate: [][]byte{clientDER}, PrivateKey: clientKey}}
}

// With the flag, the webhook answers those alone who have a certificate of the authority.
func TestWebhookClients(t *testing.T) {
	known, other := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, known.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		file     string
		with     []tls.Certificate
		answered bool
	}{
		"no flag, no certificate":          {"", nil, true},
		"a certificate of the authority":   {file, []tls.Certificate{known.client}, true},
		"no certificate":                   {file, nil, false},
		"a certificate of somebody else's": {file, []tls.Certificate{other.client}, false},
	} {
		t.Run(name, func(t *testing.T) {
			clients, err := clientsOf(try.file)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
			clients(server.TLS)
			server.StartTLS()
			defer server.Close()
			client := server.Client()
			client.Transport.(*http.Transport).TLSClientConfig.Certificates = try.with
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if (err == nil) != try.answered {
				t.Errorf("answered is %v: %v", err == nil, err)
			}
			if err == nil {
				_ = response.Body.Close()
			}
		})
	}
	for name, file := range map[string]string{"not there": file + ".none", "not PEM": os.Args[0]} {
		if _, err := clientsOf(file); err == nil {
			t.Errorf("a file that is %s is taken", name)
		}
	}
}
