package agent

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

// listening is an address that answers until it is closed, and then refuses.
func listening(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// What one enforcer has seen of the API servers, the next one reaches them by, when nothing else answers.
func TestAnAPIServerIsReachedAtItsOwnAddress(t *testing.T) {
	directory := t.TempDir()
	service, server, dead := listening(t), listening(t), listening(t)
	_ = dead.Close()
	port := func(l net.Listener) *int32 { return ptr.To(int32(l.Addr().(*net.TCPAddr).Port)) }
	client := fake.NewClientset(&discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"127.0.0.1"}}},
		Ports:      []discoveryv1.EndpointPort{{Port: port(dead)}, {Port: port(server)}},
	})
	if err := NewServers(directory, logr.Discard()).ask(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	next := NewServers(directory, logr.Discard())
	expect := func(when string, want net.Listener) {
		t.Helper()
		conn, err := next.Dial(t.Context(), "tcp", service.Addr().String())
		switch {
		case err != nil && want != nil:
			t.Errorf("%s: %v", when, err)
		case err == nil && want == nil:
			t.Errorf("%s: reached %s", when, conn.RemoteAddr())
		case err == nil && conn.RemoteAddr().String() != want.Addr().String():
			t.Errorf("%s: reached %s, want %s", when, conn.RemoteAddr(), want.Addr())
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	expect("with the Service", service)
	_ = service.Close()
	expect("without it", server)
	_ = server.Close()
	expect("without any", nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := next.Dial(ended, "tcp", service.Addr().String()); err == nil {
		t.Error("connected after the end")
	}
}

// What is in the file and makes no sense, or is another user's, is not used, and stops nothing.
func TestAddressesThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{"no address": "somewhere\n", "no port": "10.0.0.1\n", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			if err := os.WriteFile(filepath.Join(directory, "api-servers"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if known := NewServers(directory, logr.Discard()).all(); len(known) > 0 {
				t.Error(known)
			}
		})
	}
}
