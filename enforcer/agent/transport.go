package agent

import (
	"net/http"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"
)

// LogUnreachable has the clients of a configuration log, now and then, that the API server cannot
// be reached: informers retry a refused connection for ever without a word.
func LogUnreachable(config *rest.Config, log logr.Logger) {
	complain := &rate.Sometimes{First: 1, Interval: complainEvery}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			if err != nil && request.Context().Err() == nil {
				complain.Do(func() { log.Error(err, "Cannot reach the API server; trying again", "host", request.URL.Host) })
			}
			return response, err
		})
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip is http.RoundTripper.
func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
