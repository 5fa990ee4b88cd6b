package nodes

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// question is what a node is asked. With a window it is about the time from then until now.
type question struct {
	node      Node
	namespace string
	window    time.Duration
}

// Reasons that a node is missing, for people.
var (
	errUnreported = errors.New("its enforcer has not said where it answers")
	errLate       = errors.New("its enforcer did not answer in time")
	errImpostor   = errors.New("what answers at its address is not its enforcer")
	errUnreached  = errors.New("its enforcer cannot be reached")
	errConfused   = errors.New("its enforcer gave an answer that cannot be read")
)

// ask asks a node, or returns what it answered just now.
func (a *Asker) ask(ctx context.Context, q question) (connections.ConnectionList, error) {
	if q.node.Refused != "" {
		return connections.ConnectionList{}, errors.New(q.node.Refused)
	}
	if q.node.Address == "" || q.node.Fingerprint == "" {
		return connections.ConnectionList{}, errUnreported
	}
	given := a.memory.recall(q, a.Now(), func() (connections.ConnectionList, error) {
		// Others may wait for this answer, so it does not end with who asks first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Deadline)
		defer cancel()
		if a.turns.Acquire(ctx, 1) != nil {
			return connections.ConnectionList{}, errLate
		}
		defer a.turns.Release(1)
		return a.request(ctx, q)
	})
	select {
	case <-ctx.Done():
		return connections.ConnectionList{}, errLate
	case <-given.done:
		return given.list, given.err
	}
}

// request asks a node. Its errors are among those above: those of the network name addresses that do not concern who asks.
func (a *Asker) request(ctx context.Context, q question) (connections.ConnectionList, error) {
	var none connections.ConnectionList
	query := url.Values{}
	if q.namespace != "" {
		query.Set("namespace", q.namespace)
	}
	if q.window > 0 {
		query.Set("since", a.Now().Add(-q.window).UTC().Format(time.RFC3339Nano))
	}
	// The host is what connections are kept by: each node and certificate has its own.
	at := url.URL{Scheme: "https", Host: q.node.Name + "." + q.node.Fingerprint, Path: "/connections", RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(context.WithValue(ctx, nodeKey{}, q.node), http.MethodGet, at.String(), nil)
	if err != nil {
		return none, errUnreported
	}
	request.Host = q.node.Name
	response, err := a.client.Do(request)
	switch {
	case errors.Is(err, errImpostor):
		return none, errImpostor
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return none, errLate
	case err != nil:
		return none, errUnreached
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return none, fmt.Errorf("its enforcer answers with %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	answer, err := readAnswer(io.LimitReader(response.Body, mostBytes))
	switch {
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return none, errLate
	case err != nil:
		return none, errConfused
	}
	return heard(q.node.Name, answer, a.Now()), nil
}

// nodeKey is where the context of a request has its node.
type nodeKey struct{}

// dial connects to an enforcer, and to nothing else: whoever has another certificate learns that the manager called.
func (a *Asker) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	node := ctx.Value(nodeKey{}).(Node)
	dialer := tls.Dialer{Config: &tls.Config{
		MinVersion:           tls.VersionTLS13,
		InsecureSkipVerify:   true, //nolint:gosec // it is known by its fingerprint, below
		GetClientCertificate: a.Certificate,
		VerifyConnection: func(state tls.ConnectionState) error {
			sum := sha256.Sum256(state.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(node.Fingerprint)) != 1 {
				return errImpostor
			}
			return nil
		},
	}}
	return dialer.DialContext(ctx, network, node.Address)
}
