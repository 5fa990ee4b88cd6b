package serving_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/serving"
	"github.com/apptier/apptier/internal/testenv/pki"
)

const manager = "apptier-connections-service.apptier-system.svc"

// source has the same connections whoever asks, and says what it was asked.
type source struct {
	list      connections.ConnectionList
	namespace string
	since     time.Time
}

func (s *source) Connections(_ context.Context, namespace string, since time.Time) connections.ConnectionList {
	s.namespace, s.since = namespace, since
	return s.list
}

// serve runs a server, and returns it with the file of its authorities.
func serve(t *testing.T, from serving.Source) (*serving.Connections, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	served, err := serving.NewConnections(serving.Options{Address: pki.Free(t), Authorities: file, Client: manager, Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	server := served.Server(from)
	listening := make(chan struct{})
	go server.Run(t.Context(), &health.Report{}, testr.New(t))
	go func() {
		defer close(listening)
		for t.Context().Err() == nil {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", served.Address())
			if err == nil {
				conn.Close()
				return
			}
		}
	}()
	<-listening
	return served, file
}

// get asks a server as whoever has a certificate, and returns the body of its answer.
func get(t *testing.T, from *serving.Connections, certificates []tls.Certificate, query string) (int, string, error) {
	t.Helper()
	fingerprint := ""
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: certificates,
		VerifyConnection: func(state tls.ConnectionState) error {
			sum := sha256.Sum256(state.PeerCertificates[0].Raw)
			fingerprint = hex.EncodeToString(sum[:])
			return nil
		},
	}}}
	response, err := client.Get("https://" + from.Address() + "/connections" + query)
	if fingerprint != from.Fingerprint() {
		t.Errorf("serves a certificate %s, and says that it is %s", fingerprint, from.Fingerprint())
	}
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// Nobody but the manager is answered: neither by another authority, nor with another name or use of the same one's.
func TestOnlyTheManagerIsAnswered(t *testing.T) {
	served, file := serve(t, &source{list: connections.ConnectionList{Items: []connections.Connection{{ObjectMeta: metav1.ObjectMeta{Name: "a"}}}}})
	authority, other := pki.NewAuthority(t), pki.NewAuthority(t)
	if _, _, err := get(t, served, authority.Client(t, manager), ""); err == nil {
		t.Error("answers before it knows an authority")
	}
	if err := os.WriteFile(file, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, certificates := range map[string][]tls.Certificate{
		"none":                    nil,
		"of another authority":    other.Client(t, manager),
		"of another name":         authority.Client(t, "apptier-webhook-service.apptier-system.svc"),
		"for a server":            authority.Issue(t, manager, x509.ExtKeyUsageServerAuth, time.Now()),
		"that has ended":          authority.Issue(t, manager, x509.ExtKeyUsageClientAuth, time.Now().Add(-3*time.Hour)),
		"an enforcer's of itself": pki.SelfSigned(t, manager),
	} {
		if code, _, err := get(t, served, certificates, ""); err == nil {
			t.Errorf("answers with %d to a certificate %s", code, name)
		}
	}
	code, body, err := get(t, served, authority.Client(t, manager), "?namespace=shop&since=2026-11-30T14:02:07Z")
	if err != nil || code != http.StatusOK || !strings.Contains(body, `"name":"a"`) {
		t.Errorf("answers the manager with %d %s %v", code, body, err)
	}
}

// The next authority is known as soon as it is in the file, and the one before no more once it is not.
func TestAuthoritiesRotate(t *testing.T) {
	served, file := serve(t, &source{})
	before, after := pki.NewAuthority(t), pki.NewAuthority(t)
	for _, step := range []struct {
		file              []byte
		isBefore, isAfter bool
	}{
		{before.PEM, true, false},
		{append(append([]byte{}, after.PEM...), before.PEM...), true, true},
		{after.PEM, false, true},
	} {
		if err := os.WriteFile(file, step.file, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, errBefore := get(t, served, before.Client(t, manager), "")
		_, _, errAfter := get(t, served, after.Client(t, manager), "")
		if (errBefore == nil) != step.isBefore || (errAfter == nil) != step.isAfter {
			t.Errorf("with %d bytes: %v, %v", len(step.file), errBefore, errAfter)
		}
	}
}

func TestAnswers(t *testing.T) {
	from := &source{}
	served, file := serve(t, from)
	authority := pki.NewAuthority(t)
	if err := os.WriteFile(file, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	client := authority.Client(t, manager)
	if code, body, err := get(t, served, client, "?namespace=shop&since=2026-11-30T14:02:07.5Z"); err != nil || code != http.StatusOK || !strings.Contains(body, `"items":[]`) {
		t.Errorf("%d %s %v", code, body, err)
	}
	if from.namespace != "shop" || !from.since.Equal(time.Date(2026, 11, 30, 14, 2, 7, 5e8, time.UTC)) {
		t.Errorf("asks for %q since %v", from.namespace, from.since)
	}
	for _, query := range []string{"?namespace=../x", "?since=yesterday", "?namespace=" + strings.Repeat("a", 64)} {
		if code, _, err := get(t, served, client, query); err != nil || code != http.StatusBadRequest {
			t.Errorf("%s: %d %v", query, code, err)
		}
	}
	// Names as long as names may be, so many that they do not fit.
	for i := range 3000 {
		end := connections.End{Address: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), Namespace: "shop", Pod: strings.Repeat("p", 253)}
		from.list.Items = append(from.list.Items, connections.Connection{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}, Source: end, Destination: end})
	}
	_, body, err := get(t, served, client, "")
	var list connections.ConnectionList
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	if err != nil || len(body) > 1<<20 || len(list.Missing) != 1 || int(list.Missing[0].Count)+len(list.Items) != 3000 || len(list.Items) < 500 {
		t.Errorf("answers with %d bytes, %d connections, missing %v, %v", len(body), len(list.Items), list.Missing, err)
	}
}

// The manager is told where to ask, so the address must be one of the node's.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"[192.0.2.1]:9810": "192.0.2.1:9810", "192.0.2.1:9810": "192.0.2.1:9810", "[2001:db8::1]:9810": "[2001:db8::1]:9810",
		":9810": "", "0.0.0.0:9810": "", "[::]:9810": "", "n1:9810": "", "192.0.2.1": "",
	} {
		served, err := serving.NewConnections(serving.Options{Address: address})
		if (err != nil) != (want == "") || err == nil && served.Address() != want {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

// Whoever connects and says nothing is sent away, so the manager is answered however many do.
func TestTheSilentHoldUpNobody(t *testing.T) {
	served, file := serve(t, &source{})
	authority := pki.NewAuthority(t)
	if err := os.WriteFile(file, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		silent, err := net.Dial("tcp", served.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
	}
	if code, _, err := get(t, served, authority.Client(t, manager), ""); err != nil || code != http.StatusOK {
		t.Errorf("answers the manager with %d %v", code, err)
	}
}
