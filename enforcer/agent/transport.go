package agent

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"
)

// A refused connection is tried again after firstDial, later ones after up to lastDial.
const (
	firstDial = 500 * time.Millisecond
	lastDial  = 5 * time.Second
)

// WaitForServer has the clients of a configuration wait for an API server that cannot be reached,
// and log that now and then. Reflectors would try again by themselves, without a word, and ever
// later: after an outage of minutes up to a minute late.
func WaitForServer(config *rest.Config, log logr.Logger) {
	complain := &rate.Sometimes{First: 1, Interval: complainEvery}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			for pause := firstDial; ; pause = min(2*pause, lastDial) {
				response, err := next.RoundTrip(request)
				if err == nil || request.Context().Err() != nil {
					return response, err
				}
				complain.Do(func() { log.Error(err, "Cannot reach the API server; trying again", "host", request.URL.Host) })
				if !unsent(request, err) {
					return response, err
				}
				select {
				case <-request.Context().Done():
					return nil, request.Context().Err()
				case <-time.After(pause/2 + rand.N(pause/2)): //nolint:gosec // nodes need not all come at once
				}
			}
		})
	})
}

// unsent says whether a request has never reached a server, and may be tried again as it is.
func unsent(request *http.Request, err error) bool {
	var op *net.OpError
	return request.Body == nil && errors.As(err, &op) && op.Op == "dial"
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip is http.RoundTripper.
func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
