package agent

import (
	"errors"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// outage is an API server that is gone for a while.
type outage struct {
	until time.Time
	err   error
	tries int
}

func (o *outage) RoundTrip(*http.Request) (*http.Response, error) {
	o.tries++
	if time.Now().Before(o.until) {
		return nil, o.err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

var errDial = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}

// through sends a request through the transport and returns how long it took.
func through(t *testing.T, o *outage, request *http.Request) (time.Duration, error) {
	t.Helper()
	config := &rest.Config{}
	WaitForServer(config, logr.Discard())
	began := time.Now()
	response, err := config.WrapTransport(o).RoundTrip(request.WithContext(t.Context()))
	if err == nil {
		_ = response.Body.Close()
	}
	return time.Since(began), err
}

func request(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "https://server/api/v1/pods", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// However long the server was gone, its return is noticed soon.
func TestARequestWaitsForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gone = 10 * time.Minute
		took, err := through(t, &outage{until: time.Now().Add(gone), err: errDial}, request(t))
		if err != nil || took > gone+lastDial {
			t.Errorf("answered after %v, %v", took, err)
		}
	})
}

// What may have reached the server is for the caller to repeat.
func TestARequestThatWasSentIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &outage{until: time.Now().Add(time.Hour), err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}
		if _, err := through(t, o, request(t)); !errors.Is(err, syscall.ECONNRESET) || o.tries != 1 {
			t.Errorf("%d tries, %v", o.tries, err)
		}
	})
}
