package certs_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/apptier/apptier/internal/certs"
	"github.com/apptier/apptier/internal/testenv/apiserver"
)

var options = certs.Options{
	Name:      "webhook-certificate",
	Secret:    types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: "webhook-cert"},
	Service:   "webhook",
	Announced: []certs.Place{certs.WebhookConfiguration(configuration)},
	Adopt:     true,
}

const configuration = "configuration"

// site is what two replicas share: a real API server, and a clock that the test moves. While somebody
// reads the configuration and calls a server by it, the clock stands still.
type site struct {
	config *rest.Config
	api    client.Client
	moving sync.RWMutex
	clock  atomic.Int64
}

func (s *site) now() time.Time { return time.Unix(s.clock.Load(), 0) }

// advance moves the clock, and has everyone look at it.
func (s *site) advance(g Gomega, t *testing.T, by time.Duration) {
	s.moving.Lock()
	s.clock.Add(int64(by / time.Second))
	s.moving.Unlock()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: options.Secret.Namespace, Name: options.Secret.Name}}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{"now":"%d"}}}`, s.clock.Load())
	g.Expect(s.api.Patch(t.Context(), secret, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
}

func newSite(g Gomega, t *testing.T) *site {
	config, _ := apiserver.Start(t)
	api, err := client.New(config, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	s := &site{config: config, api: api}
	s.clock.Store(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC).Unix())
	webhook := admissionv1.ValidatingWebhook{
		ClientConfig:            admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: metav1.NamespaceDefault, Name: options.Service}},
		SideEffects:             ptr.To(admissionv1.SideEffectClassNone),
		AdmissionReviewVersions: []string{"v1"},
	}
	made := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: configuration}}
	for _, name := range []string{"one.example.com", "other.example.com"} {
		webhook.Name = name
		made.Webhooks = append(made.Webhooks, webhook)
	}
	g.Expect(api.Create(t.Context(), made)).To(Succeed())
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: options.Secret.Namespace, Name: options.Secret.Name}}
	g.Expect(api.Create(t.Context(), secret)).To(Succeed())
	return s
}

// replica runs a keeper in a manager, and a server with its certificate, whose address it returns.
func (s *site) replica(g Gomega, t *testing.T) (*certs.Keeper, string) {
	keeper := certs.New(options, s.now)
	mgr, err := ctrl.NewManager(s.config, ctrl.Options{
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)}, // two managers in one process
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(keeper.SetupWithManager(mgr)).To(Succeed())
	go func() { _ = mgr.Start(t.Context()) }()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: keeper.GetCertificate})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.(*tls.Conn).HandshakeContext(t.Context()) // the client has the error
			}()
		}
	}()
	return keeper, listener.Addr().String()
}

// bundles are the caBundles now.
func (s *site) bundles(t *testing.T) ([][]byte, error) {
	var found admissionv1.ValidatingWebhookConfiguration
	err := s.api.Get(t.Context(), client.ObjectKey{Name: configuration}, &found)
	var out [][]byte
	for _, webhook := range found.Webhooks {
		out = append(out, webhook.ClientConfig.CABundle)
	}
	return out, err
}

// call connects to a server as the API server would, and returns who signed its certificate.
func (s *site) call(t *testing.T, address string) (authority string, err error) {
	s.moving.RLock()
	defer s.moving.RUnlock()
	bundles, err := s.bundles(t)
	if err != nil {
		return "", err
	}
	for _, bundle := range bundles {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle)
		dialer := tls.Dialer{NetDialer: &net.Dialer{}, Config: &tls.Config{RootCAs: roots, ServerName: "webhook.default.svc", Time: s.now}}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			return "", err
		}
		authority = conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Issuer.CommonName
		conn.Close()
	}
	return authority, nil
}

// Two replicas serve while authorities come and go, and no call fails, by any webhook, to any of them.
func TestTwoReplicasRotate(t *testing.T) {
	g := NewWithT(t)
	s := newSite(g, t)
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	var addresses []string
	for range 2 {
		keeper, address := s.replica(g, t)
		addresses = append(addresses, address)
		g.Eventually(keeper.Ready(), "20s").Should(BeClosed())
	}
	var calls sync.WaitGroup
	stop := make(chan struct{})
	var succeeded atomic.Int64
	var failed []error
	for _, address := range addresses {
		calls.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.call(t, address); err != nil {
					s.moving.Lock()
					failed = append(failed, err)
					s.moving.Unlock()
					continue
				}
				succeeded.Add(1)
			}
		})
	}
	authority := func() string {
		by, err := s.call(t, addresses[0])
		g.Expect(err).NotTo(HaveOccurred())
		return by
	}
	trusted := func() int {
		bundles, err := s.bundles(t)
		g.Expect(err).NotTo(HaveOccurred())
		return bytes.Count(bundles[0], []byte("BEGIN CERTIFICATE"))
	}
	secret := func() (secret corev1.Secret) {
		g.Expect(s.api.Get(t.Context(), options.Secret, &secret)).To(Succeed())
		return secret
	}

	before := secret().Data["tls.crt"]
	s.advance(g, t, 60*24*time.Hour+time.Minute)
	g.Eventually(func() []byte { return secret().Data["tls.crt"] }, "10s").ShouldNot(Equal(before), "renewed a month before it runs out")

	for range 2 {
		first := authority()
		emptied := secret()
		emptied.Data = nil // as an operator does who wants new keys now
		g.Expect(s.api.Update(t.Context(), &emptied)).To(Succeed())
		g.Eventually(trusted, "10s").Should(Equal(2), "the next authority is announced")
		g.Consistently(authority, "300ms").Should(Equal(first), "and not used before it is seen everywhere")
		s.advance(g, t, 20*time.Second)
		for _, address := range addresses {
			g.Eventually(func() (string, error) { return s.call(t, address) }, "10s").ShouldNot(Equal(first))
		}
		s.advance(g, t, 24*time.Hour)
		g.Eventually(trusted, "10s").Should(Equal(1), "the former authority goes")
	}

	close(stop)
	calls.Wait()
	t.Logf("%d calls succeeded", succeeded.Load())
	g.Expect(errors.Join(failed...)).To(BeNil())
	g.Expect(succeeded.Load()).To(BeNumerically(">", 50))
}
