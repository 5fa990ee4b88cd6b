package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/vishvananda/netns"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/internal/testenv/network"
)

// Metrics that are served beyond the node are seen by those alone who may see them.
func TestSecureMetrics(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	config, environment := apiserver.Start(t)
	client := kubernetes.NewForConfigOrDie(config)
	node, err := network.NewNamespace()
	must(t, err)
	defer node.Close()
	_, err = client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "reader"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: "may"}},
	}, metav1.CreateOptions{})
	must(t, err)

	p := start(t, node, environment, "--metrics-secure")
	p.awaitLog(t, "The rules are in the kernel")
	for _, test := range []struct {
		name, token string
		want        int
	}{
		{"nobody", "", http.StatusUnauthorized},
		{"what is no token", "nonsense", http.StatusInternalServerError}, // as controller-runtime answers an error of the authenticator
		{"an account that may not", token(t, client, "may-not"), http.StatusForbidden},
		{"an account that may", token(t, client, "may"), http.StatusOK},
	} {
		if got := status(t, node, "https://127.0.0.1:9808/metrics", test.token); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
	if got := status(t, node, "http://127.0.0.1:9808/metrics", ""); got != http.StatusBadRequest {
		t.Errorf("without TLS: %d", got)
	}
}

// token makes an account and returns a token of it.
func token(t *testing.T, client kubernetes.Interface, account string) string {
	t.Helper()
	accounts := client.CoreV1().ServiceAccounts("default")
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	must(t, err)
	request, err := accounts.CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	return request.Status.Token
}

func status(t *testing.T, node netns.NsHandle, url, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(_ context.Context, kind, address string) (conn net.Conn, err error) {
			err = network.In(node, func() error { conn, err = net.Dial(kind, address); return err })
			return conn, err
		},
	}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	must(t, err)
	must(t, response.Body.Close())
	return response.StatusCode
}
