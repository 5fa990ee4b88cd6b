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
	"strings"
	"testing"
	"time"

	"github.com/apptier/apptier/internal/connections/api"
	"github.com/apptier/apptier/internal/testenv/pki"
)

// served is a server of "hello" that lets in who has a certificate of an authority.
func served(t *testing.T, proxy *pki.Authority) (address string) {
	t.Helper()
	address = pki.Free(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(proxy.PEM)
	certificate := pki.SelfSigned(t, "api")[0]
	ready := make(chan struct{})
	close(ready)
	server := &api.Server{
		Address: address, Ready: ready, ErrorLog: log.New(io.Discard, "", 0),
		Handler:     http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		Knows: func(of []*x509.Certificate) bool {
			_, err := of[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			return err == nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
	}
}

// hello asks as the API server's proxy does, in the time that it has for that.
func hello(t *testing.T, address string, certificates []tls.Certificate) error {
	t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certificates}}
	defer transport.CloseIdleConnections()
	client := http.Client{Timeout: 10 * time.Second, Transport: transport}
	response, err := client.Get("https://" + address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || string(text) != "hello" || response.ProtoMajor != 2 {
		return fmt.Errorf("%s %q %w", response.Proto, text, err)
	}
	return nil
}

// descriptors counts the connections that this process has to an address.
func descriptors(t *testing.T, address string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	var number uint16
	if _, err := fmt.Sscan(port, &number); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip("only Linux lists connections")
	}
	// The local address, the state, which is established, and the inode, which those have that the server has accepted.
	open := 0
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", number)) && fields[3] == "01" && fields[9] != "0" {
			open++
		}
	}
	return open
}

// Whoever connects and says nothing, however often, keeps the API server neither out nor waiting, and has a bounded number of
// connections.
func TestTheSilentKeepNobodyOut(t *testing.T) {
	proxy := pki.NewAuthority(t)
	address := served(t, proxy)
	stop := make(chan struct{})
	opened := make(chan int)
	go func() {
		var silent []net.Conn
		defer func() {
			for _, conn := range silent {
				conn.Close()
			}
			opened <- len(silent)
		}()
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Errorf("opening a connection: %v", err)
				return
			}
			silent = append(silent, conn)
		}
	}()
	for descriptors(t, address) < 100 { // the silent come
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // nothing says when they have
	}
	most, began := 0, time.Now()
	for range 20 {
		if err := hello(t, address, proxy.Client(t, "proxy")); err != nil {
			t.Errorf("the API server gets %v", err)
		}
		most = max(most, descriptors(t, address))
	}
	took := time.Since(began)
	close(stop)
	t.Logf("20 requests in %v, beside %d silent connections, at most %d at once", took.Round(time.Millisecond), <-opened, most)
	if most > 300 { // those that have made way are closed as soon as a processor has time for it
		t.Errorf("%d connections are open", most)
	}
	if took > 10*time.Second {
		t.Errorf("20 requests take %v", took)
	}
}

// Who has no certificate of the proxy's is not let in, whatever he has in place of it.
func TestStrangersAreNotLetIn(t *testing.T) {
	proxy := pki.NewAuthority(t)
	address := served(t, proxy)
	for name, certificates := range map[string][]tls.Certificate{
		"none": nil, "of itself": pki.SelfSigned(t, "proxy"), "of another authority": pki.NewAuthority(t).Client(t, "proxy"),
		"for a server": proxy.Issue(t, "proxy", x509.ExtKeyUsageServerAuth, time.Now()),
		"of the past":  proxy.Issue(t, "proxy", x509.ExtKeyUsageClientAuth, time.Now().Add(-3*time.Hour)),
	} {
		if err := hello(t, address, certificates); err == nil {
			t.Errorf("who has a certificate %s is let in", name)
		}
	}
	if err := hello(t, address, proxy.Client(t, "proxy")); err != nil {
		t.Errorf("the proxy gets %v", err)
	}
}
