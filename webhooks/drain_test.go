package webhooks_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/apptier/apptier/webhooks"
)

// A server that drains answers every request, and sends its client elsewhere with the answer.
func TestDrain(t *testing.T) {
	g := NewWithT(t)
	server := webhooks.NewServer(webhook.Options{})
	server.Register("/validate", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	listening := httptest.NewServer(server.WebhookMux())
	defer listening.Close()
	ask := func() (reused, last bool) {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodPost, listening.URL+"/validate", nil)
		g.Expect(err).NotTo(HaveOccurred())
		response, err := listening.Client().Do(request)
		g.Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		g.Expect(response.StatusCode).To(Equal(http.StatusOK))
		return reused, response.Close
	}
	expect := func(wantReused, wantLast bool) {
		t.Helper()
		reused, last := ask()
		g.Expect([]bool{reused, last}).To(Equal([]bool{wantReused, wantLast}), "on an earlier connection, and the last on it")
	}
	expect(false, false)
	expect(true, false)
	server.Drain()
	expect(true, true)
	expect(false, true)
}
