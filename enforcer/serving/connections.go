package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/util/validation"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/connections/share"
)

// Source has the connections that this node saw: those with an end in a namespace, or all without one.
type Source interface {
	Connections(ctx context.Context, namespace string, since time.Time) connections.ConnectionList
}

const (
	// mostOpen is how many connections to the server are open at once, and mostAsked how many requests are answered at once.
	mostOpen, mostAsked = 128, 4
	// hello is how long a client may take to say who it is. Any pod may connect, and who says nothing holds a connection: with
	// these bounds it must open 128 a second to keep the manager waiting, which gives up after a second and a half anyway.
	hello = time.Second
	// mostBytes is how long an answer is, about. The manager reads a mebibyte.
	mostBytes = 900 << 10
	// patience is how long a request waits for others.
	patience = time.Second
)

// Options say where connections are served, and to whom.
type Options struct {
	// Address is an address of the node, and a port.
	Address string
	// Authorities is a file of certificates in PEM, which is read again for each client. It may come later.
	Authorities string
	// Client is the name in the certificate of the one client that is answered.
	Client string
	Node   string
}

// Connections serves connections to the manager.
type Connections struct {
	options  Options
	identity identity
	turns    *semaphore.Weighted
}

// NewConnections makes a server with a certificate of its own, which is new with each process.
func NewConnections(o Options) (*Connections, error) {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, fmt.Errorf("the address %q to serve connections at is not host:port: %w", o.Address, err)
	}
	address, err := netip.ParseAddr(host)
	if err != nil || address.IsUnspecified() {
		return nil, fmt.Errorf("the address %q to serve connections at must have an IP address of the node: the manager is told it", o.Address)
	}
	made, err := newIdentity(o.Node)
	if err != nil {
		return nil, err
	}
	return &Connections{options: o, identity: made, turns: semaphore.NewWeighted(mostAsked)}, nil
}

// Fingerprint is the SHA-256 of the server's certificate, in hexadecimal.
func (c *Connections) Fingerprint() string { return c.identity.fingerprint }

// Address is where the server answers, as host:port.
func (c *Connections) Address() string {
	host, port, _ := net.SplitHostPort(c.options.Address) // NewConnections has tried
	return net.JoinHostPort(host, port)
}

// Server is what to run, for answers from a source.
func (c *Connections) Server(from Source) Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /connections", func(w http.ResponseWriter, r *http.Request) { c.answer(w, r, from) })
	return Server{
		Flag: "connections-bind-address", Address: c.Address(), Taken: "ConnectionsAddressTaken",
		Handler: mux, TLS: c.identity.config(c.options.Authorities, c.options.Client), Most: mostOpen, Hello: hello,
	}
}

func (c *Connections) answer(w http.ResponseWriter, r *http.Request, from Source) {
	namespace, since, err := questionOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if c.turns.Acquire(ctx, 1) != nil {
		http.Error(w, "too many ask at once", http.StatusTooManyRequests)
		return
	}
	defer c.turns.Release(1)
	list := from.Connections(ctx, namespace, since)
	var left int
	list.Items, left = share.Keep(list.Items, mostBytes, sizeOf)
	if left > 0 {
		list.Missing = append(list.Missing, connections.Missing{
			Node: c.options.Node, Reason: "they do not fit into an answer", Count: int64(left),
		})
	}
	if list.Items == nil {
		list.Items = []connections.Connection{}
	}
	list.SetGroupVersionKind(connections.GroupVersion.WithKind("ConnectionList"))
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(list); err != nil {
		http.Error(w, "the connections cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body.Bytes()) // the client is gone, if at all
}

func questionOf(r *http.Request) (namespace string, since time.Time, err error) {
	query := r.URL.Query()
	namespace = query.Get("namespace")
	if namespace != "" && len(validation.IsDNS1123Label(namespace)) > 0 {
		return "", since, fmt.Errorf("namespace %q is no name of a namespace", namespace)
	}
	if text := query.Get("since"); text != "" {
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return "", since, fmt.Errorf("since %q is no time: write it as in 2026-11-30T14:02:07Z", text)
		}
	}
	return namespace, since, nil
}

// sizeOf is how long a connection is in an answer.
func sizeOf(c connections.Connection) int {
	text, err := json.Marshal(c)
	if err != nil {
		return mostBytes
	}
	return len(text) + 1
}
