package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/serving"
	"github.com/apptier/apptier/internal/certs"
	"github.com/apptier/apptier/internal/connections/api"
	"github.com/apptier/apptier/internal/connections/nodes"
	"github.com/apptier/apptier/internal/connections/openapi"
	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/internal/testenv/pki"
)

const proxyName = "front-proxy-client"

// site is an API server with its proxy, the API behind it, and a node behind that.
type site struct {
	*WithT
	t         *testing.T
	config    *rest.Config
	admin     client.Client
	env       *envtest.Environment
	proxy     *pki.Authority
	keeper    *certs.Keeper
	address   string // of the API
	authority string // the file by which the node knows the manager
	node      *serving.Connections
}

func newSite(t *testing.T) *site {
	s := &site{WithT: NewWithT(t), t: t, proxy: pki.NewAuthority(t), address: pki.Free(t), authority: filepath.Join(t.TempDir(), "ca.crt")}
	s.config, s.env = apiserver.Start(t, func(e *envtest.Environment, _ string) {
		ca := filepath.Join(t.TempDir(), "ca.crt")
		s.Expect(os.WriteFile(ca, s.proxy.PEM, 0o600)).To(Succeed())
		certificate, key := pki.Files(t, s.proxy.Client(t, proxyName)[0])
		e.ControlPlane.GetAPIServer().Configure().
			Set("requestheader-client-ca-file", ca).Set("requestheader-allowed-names", proxyName).
			Set("requestheader-username-headers", "X-Remote-User").Set("requestheader-group-headers", "X-Remote-Group").
			Set("requestheader-extra-headers-prefix", "X-Remote-Extra-").
			Set("proxy-client-cert-file", certificate).Set("proxy-client-key-file", key)
	})
	var err error
	s.admin, err = client.New(s.config, client.Options{})
	s.Expect(err).NotTo(HaveOccurred())
	s.install()
	s.serve()
	return s
}

// create makes an object of a file of config/, or one that is given.
func (s *site) create(o client.Object) {
	s.t.Helper()
	s.Expect(s.admin.Create(s.t.Context(), o)).To(Succeed())
}

func (s *site) configured(file string) *unstructured.Unstructured {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "connections", file))
	s.Expect(err).NotTo(HaveOccurred())
	var o unstructured.Unstructured
	s.Expect(yaml.Unmarshal(text, &o.Object)).To(Succeed())
	if o.GetNamespace() != "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	return &o
}

// install creates what config/ does; the Service leads here.
func (s *site) install() {
	for _, file := range []string{"secret.yaml", "asker_role.yaml", "asker_role_binding.yaml"} {
		s.create(s.configured(file))
	}
	s.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "connections-ca"}})
	s.create(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "connections-service"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	})
	_, port, err := net.SplitHostPort(s.address)
	s.Expect(err).NotTo(HaveOccurred())
	number, err := strconv.ParseInt(port, 10, 32)
	s.Expect(err).NotTo(HaveOccurred())
	service := s.configured("api_service.yaml")
	s.Expect(unstructured.SetNestedMap(service.Object, map[string]any{
		"namespace": metav1.NamespaceDefault, "name": "connections-service", "port": number,
	}, "spec", "service")).To(Succeed())
	s.create(service)
}

// serve runs what a manager runs, and a node.
func (s *site) serve() {
	mgr, err := ctrl.NewManager(s.config, ctrl.Options{
		Metrics: metricsserver.Options{BindAddress: "0"}, Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)}, Logger: testr.New(s.t),
	})
	s.Expect(err).NotTo(HaveOccurred())
	options := certs.Options{
		Name: "connections-certificate", Service: "connections-service", AsClient: true, Optional: true,
		Secret: types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: "connections-cert"},
		Announced: []certs.Place{
			certs.APIService("v1alpha1.connections.apptier.dev"),
			certs.ConfigMap(types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: "connections-ca"}),
		},
	}
	s.keeper = certs.New(options, time.Now)
	s.Expect(s.keeper.SetupWithManager(mgr)).To(Succeed())
	s.node, err = serving.NewConnections(serving.Options{
		Address: pki.Free(s.t), Authorities: s.authority, Client: options.Host(), Node: "n1",
	})
	s.Expect(err).NotTo(HaveOccurred())
	go s.node.Server(node{}).Run(s.t.Context(), &health.Report{}, testr.New(s.t))
	asker := &nodes.Asker{
		Nodes: func(context.Context, string) ([]nodes.Node, int, error) {
			return []nodes.Node{{Name: "n1", Address: s.node.Address(), Fingerprint: s.node.Fingerprint()}, {Name: "n2"}}, 0, nil
		},
		Certificate: s.keeper.GetClientCertificate, Now: time.Now, Deadline: time.Minute,
	}
	clients, err := kubernetes.NewForConfig(s.config)
	s.Expect(err).NotTo(HaveOccurred())
	proxy, err := api.NewProxy(clients)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(mgr.Add(proxy)).To(Succeed())
	reviews, err := api.Reviews(clients.AuthorizationV1())
	s.Expect(err).NotTo(HaveOccurred())
	described, err := openapi.New()
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(mgr.Add(&api.Server{
		Address: s.address, Certificate: s.keeper.GetCertificate, Ready: s.keeper.Ready(), ErrorLog: log.New(io.Discard, "", 0),
		Handler: api.New(api.Options{Lister: asker, Authenticator: proxy, MayList: reviews, OpenAPI: described, Log: testr.New(s.t)}),
		Knows:   proxy.Knows,
	})).To(Succeed())
	go func() { _ = mgr.Start(s.t.Context()) }()
	s.Eventually(s.keeper.Ready(), "60s").Should(BeClosed())
	// As the kubelet does.
	var announced corev1.ConfigMap
	s.Expect(s.admin.Get(s.t.Context(), client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "connections-ca"}, &announced)).To(Succeed())
	s.Expect(os.WriteFile(s.authority, []byte(announced.Data["ca.crt"]), 0o600)).To(Succeed())
}

// node has what seen has.
type node struct{}

func (node) Connections(ctx context.Context, namespace string, since time.Time) (list connections.ConnectionList) {
	list = seen{}.List(ctx, namespace, since)
	list.Missing = nil
	return list
}

// as is a client of somebody who may list AppTiers in namespaces.
func (s *site) as(name string, namespaces ...string) *kubernetes.Clientset {
	for _, namespace := range namespaces {
		s.create(&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"policy.apptier.dev"}, Resources: []string{"apptiers"}, Verbs: []string{"list"}}},
		})
		s.create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
		})
	}
	somebody, err := s.env.AddUser(envtest.User{Name: name}, s.config)
	s.Expect(err).NotTo(HaveOccurred())
	clients, err := kubernetes.NewForConfig(somebody.Config())
	s.Expect(err).NotTo(HaveOccurred())
	return clients
}

func (s *site) list(as *kubernetes.Clientset, namespace string) ([]byte, error) {
	return as.RESTClient().Get().AbsPath(prefix, "namespaces", namespace, "connections").SetHeader("Accept", "application/json").Do(s.t.Context()).Raw()
}

// Two tenants ask a real API server: each sees what has an end in its namespace, and nothing of the other's.
func TestTwoTenants(t *testing.T) {
	s := newSite(t)
	for _, namespace := range []string{"shop", "bank"} {
		s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	shop, bank, nobody := s.as("shop-owner", "shop"), s.as("bank-owner", "bank"), s.as("nobody")
	s.Eventually(func() error { _, err := s.list(shop, "shop"); return err }, "60s").Should(Succeed())

	body, err := s.list(shop, "shop")
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(cmp.Diff([]string{
		"shop: enters-bank shop/web(web) bank/ledger()",
		"shop: enters-shop bank/batch() shop/db(db)",
		"shop: inside-shop shop/web(web) shop/db(db) because isolate-inside-shop",
		"shop: leaves-shop shop/web(web) bank/ledger() because isolate-leaves-shop",
	}, told(t, string(body)))).To(BeEmpty())
	body, err = s.list(bank, "bank")
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(told(t, string(body))).To(HaveLen(5))
	for _, denied := range []struct {
		who       *kubernetes.Clientset
		namespace string
	}{{shop, "bank"}, {bank, "shop"}, {nobody, "shop"}} {
		body, err := s.list(denied.who, denied.namespace)
		s.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		s.Expect(string(body)).To(ContainSubstring("who may list apptiers.policy.apptier.dev"))
	}
	_, err = shop.RESTClient().Get().AbsPath(prefix, "connections").DoRaw(t.Context())
	s.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)

	// Everything that finds out what there is does, kubectl and the deletion of namespaces among it.
	found, err := discovery.NewDiscoveryClient(shop.RESTClient()).ServerPreferredResources()
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(fmt.Sprint(found)).To(ContainSubstring("connections.apptier.dev/v1alpha1"))

	// kubectl explain reads what the API server has read of the fields.
	s.Eventually(func() (string, error) {
		described, err := nobody.RESTClient().Get().AbsPath("/openapi/v3", openapi.Group).DoRaw(t.Context())
		return string(described), err
	}, "90s").Should(ContainSubstring("Because are the policies that isolate the side that decided"))

	s.forgers(t)
}

// forgers call the API past the API server, and the node past the manager.
func (s *site) forgers(t *testing.T) {
	impostor := pki.NewAuthority(t)
	managers, err := s.keeper.GetClientCertificate(nil)
	s.Expect(err).NotTo(HaveOccurred())
	for name, certificates := range map[string][]tls.Certificate{
		"none":                         nil,
		"of another authority":         impostor.Client(t, proxyName),
		"of the proxy's, another name": s.proxy.Client(t, "kubelet"),
		"of the proxy's, for a server": s.proxy.Issue(t, proxyName, x509.ExtKeyUsageServerAuth, time.Now()),
		"of the manager itself":        {*managers},
	} {
		code, body := s.direct("https://"+s.address+prefix+"/namespaces/shop/connections", certificates)
		if code != 0 {
			t.Errorf("with a certificate %s somebody is let in: %d %s", name, code, body)
		}
	}
	if code, body := s.direct("https://"+s.address+prefix+"/namespaces/shop/connections", s.proxy.Client(t, proxyName)); code != http.StatusOK {
		t.Errorf("the proxy itself gets %d %s", code, body)
	}
	at := "https://" + s.node.Address() + "/connections"
	for name, certificates := range map[string][]tls.Certificate{
		"none": nil, "of itself": pki.SelfSigned(t, "connections-service.default.svc"), "of the API server's proxy": s.proxy.Client(t, proxyName),
	} {
		if code, body := s.direct(at, certificates); code != 0 {
			t.Errorf("a node answers who has a certificate %s: %d %s", name, code, body)
		}
	}
	if code, body := s.direct(at, []tls.Certificate{*managers}); code != http.StatusOK {
		t.Errorf("a node answers the manager with %d %s", code, body)
	}
}

// direct asks a server as one who says that the API server says that he is of system:masters.
func (s *site) direct(url string, certificates []tls.Certificate) (int, string) {
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	s.Expect(err).NotTo(HaveOccurred())
	request.Header.Set("X-Remote-User", "admin")
	request.Header.Set("X-Remote-Group", "system:masters")
	of := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true,
		// Whatever authorities the server asks for.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(certificates) == 0 {
				return &tls.Certificate{}, nil
			}
			return &certificates[0], nil
		},
	}}}
	response, err := of.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	s.Expect(err).NotTo(HaveOccurred())
	return response.StatusCode, string(body)
}
