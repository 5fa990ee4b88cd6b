package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Whom the API server trusts, and for how long, is what the certificate's chain says.
func TestCertificate(t *testing.T) {
	of := []string{"webhook-certificate fail [ValidatingWebhookConfiguration hooks]"}
	for _, test := range []struct {
		name   string
		change func(*Facts)
		want   []string
	}{
		{"valid", func(*Facts) {}, nil},
		{"expired", func(f *Facts) { f.Webhooks.Items, f.Certificates.Items = certified(now.Add(-time.Hour)) }, of},
		{"not renewed", func(f *Facts) { f.Webhooks.Items, f.Certificates.Items = certified(now.Add(renewal - time.Hour)) },
			[]string{"webhook-certificate warn [ValidatingWebhookConfiguration hooks]"}},
		{"of another authority", func(f *Facts) { _, f.Certificates.Items = certified(now.Add(100 * time.Hour)) }, of},
		{"of another Service", func(f *Facts) { f.Webhooks.Items[0].Webhooks[0].ClientConfig.Service.Name = "other" }, of},
		{"no authority", func(f *Facts) { f.Webhooks.Items[0].Webhooks[0].ClientConfig.CABundle = nil }, of},
		{"none", func(f *Facts) { f.Certificates.Items = nil }, of},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := well()
			test.change(f)
			if diff := cmp.Diff(test.want, odd(t, Judge(f, now))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// certified is a webhook, and a certificate for it that ends at a time, of an authority of its own.
func certified(ends time.Time) ([]admissionv1.ValidatingWebhookConfiguration, []*x509.Certificate) {
	authorityKey, serverKey := key(), key()
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true,
		NotBefore:             now.Add(-365 * 24 * time.Hour), NotAfter: now.Add(365 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"webhook.apptier-system.svc"},
		NotBefore: now.Add(-30 * 24 * time.Hour), NotAfter: ends, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	hook := admissionv1.ValidatingWebhook{Name: "apptier.policy.apptier.dev"}
	hook.ClientConfig.Service = &admissionv1.ServiceReference{Namespace: "apptier-system", Name: "webhook"}
	hook.ClientConfig.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sign(authority, authority, authorityKey,
		authorityKey).Raw})
	configuration := admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "hooks"},
		Webhooks: []admissionv1.ValidatingWebhook{hook}}
	return []admissionv1.ValidatingWebhookConfiguration{configuration}, []*x509.Certificate{sign(server, authority, serverKey,
		authorityKey)}
}

func key() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func sign(c, by *x509.Certificate, of, with *ecdsa.PrivateKey) *x509.Certificate {
	raw, err := x509.CreateCertificate(rand.Reader, c, by, &of.PublicKey, with)
	if err != nil {
		panic(err)
	}
	signed, err := x509.ParseCertificate(raw)
	if err != nil {
		panic(err)
	}
	return signed
}
