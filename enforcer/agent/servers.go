package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// dialTimeout is how long one address is given before the next one is tried.
	dialTimeout = 2 * time.Second
	// rememberEvery is how often the API servers' own addresses are asked for.
	rememberEvery = 5 * time.Minute
)

// Servers remembers the API servers' own addresses, from when they were last reachable. A pod reaches them by the
// address of a Service, which needs kube-proxy's rules. Without these rules, as after a flush of the ruleset, or before
// kube-proxy has written them, an enforcer could not start. A file keeps the addresses for the next enforcer. The server
// must have a certificate for the address that was asked for.
type Servers struct {
	file     string
	log      logr.Logger
	complain rate.Sometimes

	mu    sync.Mutex
	known []netip.AddrPort
}

// NewServers reads what an earlier enforcer has remembered in a directory, if there is anything.
func NewServers(directory string, log logr.Logger) *Servers {
	s := &Servers{file: filepath.Join(directory, "api-servers"), log: log, complain: rate.Sometimes{First: 1, Interval: complainEvery}}
	file, err := openOwn(s.file, unix.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return s
	}
	if err == nil {
		defer file.Close()
		var text bytes.Buffer
		if _, err = text.ReadFrom(file); err == nil {
			s.known, err = parseServers(text.String())
		}
	}
	if err != nil {
		log.Error(err, "Cannot read the API servers' own addresses; they are used only where the configured one does not answer")
	}
	return s
}

// parseServers reads addresses, one a line.
func parseServers(text string) ([]netip.AddrPort, error) {
	var found []netip.AddrPort
	for line := range strings.Lines(text) {
		server, err := netip.ParseAddrPort(strings.TrimSpace(line))
		if err != nil {
			return nil, err
		}
		found = append(found, server)
	}
	return found, nil
}

// Dial connects to an address, or if that does not answer, to what is known of the API servers. It is
// rest.Config's.
func (s *Servers) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, network, address)
	if err == nil || ctx.Err() != nil {
		return conn, err
	}
	for _, server := range s.all() {
		conn, another := dialer.DialContext(ctx, network, server.String())
		if another == nil {
			s.complain.Do(func() {
				s.log.Info("Reaching the API server at its own address", "address", server.String(), "because", err.Error())
			})
			return conn, nil
		}
	}
	return nil, err
}

func (s *Servers) all() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.known)
}

// Remember asks for the addresses from time to time until the context ends, and keeps them.
func (s *Servers) Remember(ctx context.Context, client kubernetes.Interface) {
	ticks := time.NewTicker(rememberEvery)
	defer ticks.Stop()
	for {
		if err := s.ask(ctx, client); err != nil && ctx.Err() == nil {
			s.log.Info("Cannot remember the API servers' own addresses", "reason", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

func (s *Servers) ask(ctx context.Context, client kubernetes.Interface) error {
	// The API servers write it themselves, under this name:
	// https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors
	slice, err := client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil {
		return err
	}
	found := serversOf(slice)
	if len(found) == 0 || slices.Equal(found, s.all()) {
		return nil
	}
	s.mu.Lock()
	s.known = found
	s.mu.Unlock()
	var text bytes.Buffer
	for _, server := range found {
		fmt.Fprintln(&text, server)
	}
	temporary := s.file + ".new"
	if err := os.WriteFile(temporary, text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, s.file)
}

// serversOf reads addresses and ports, sorted.
func serversOf(slice *discoveryv1.EndpointSlice) []netip.AddrPort {
	var found []netip.AddrPort
	for _, port := range slice.Ports {
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				if ip, err := netip.ParseAddr(address); err == nil && port.Port != nil && *port.Port > 0 && *port.Port <= 0xffff {
					found = append(found, netip.AddrPortFrom(ip, uint16(*port.Port)))
				}
			}
		}
	}
	slices.SortFunc(found, netip.AddrPort.Compare)
	return slices.Compact(found)
}
