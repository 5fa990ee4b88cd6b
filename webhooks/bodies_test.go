package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

func reviewOf(t *testing.T, object string) string {
	t.Helper()
	text, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request:  &admissionv1.AdmissionRequest{UID: "705ab4f5", Name: "x", Object: runtime.RawExtension{Raw: []byte(object)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestUIDIsReadFromTheBeginning(t *testing.T) {
	whole := reviewOf(t, `{"a":"`+strings.Repeat("x", 10_000)+`"}`)
	for name, try := range map[string]struct{ body, want string }{
		"as the API server writes it":  {whole[:4096], "705ab4f5"},
		"an object's own":              {`{"request":{"object":{"uid":"other"},"uid":"mine"}}`, "mine"},
		"another field before":         {`{"response":{"uid":"other"},"request":{"dryRun":true,"uid":"mine"}}`, "mine"},
		"none":                         {`{"request":{"name":"x"}}`, ""},
		"a list, which none is before": {`{"request":{"list":[{"uid":"other"}],"uid":"mine"}}`, ""},
		"nothing":                      {``, ""},
		"no object":                    {`"uid"`, ""},
	} {
		if uid, err := uidOf(strings.NewReader(try.body)); string(uid) != try.want || (err == nil) != (try.want != "") {
			t.Errorf("%s: %q, %v", name, uid, err)
		}
	}
}

// Requests that there is no room for are refused, and let through by nobody.
func TestBodiesAreBounded(t *testing.T) {
	server := NewServer(webhook.Options{})
	server.Register("/validate", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	listening := httptest.NewServer(server.WebhookMux())
	defer listening.Close()
	ask := func(body string) (status int, answer []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, listening.URL+"/validate?timeout=100ms", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := listening.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if answer, err = io.ReadAll(response.Body); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, answer
	}
	if err := server.bodies.Acquire(t.Context(), mostBodies); err != nil { // others have it all
		t.Fatal(err)
	}
	var review admissionv1.AdmissionReview
	_, answer := ask(reviewOf(t, `{}`))
	if err := json.Unmarshal(answer, &review); err != nil {
		t.Fatal(err)
	}
	if r := review.Response; r == nil || r.UID != "705ab4f5" || r.Allowed || r.Result.Code != http.StatusTooManyRequests {
		t.Errorf("the answer is %+v", review.Response)
	}
	if status, _ := ask("{}"); status != http.StatusServiceUnavailable {
		t.Errorf("who says nothing is answered %d", status)
	}
	server.bodies.Release(mostBodies)
	for range 10 {
		if status, _ := ask(reviewOf(t, `{}`)); status != http.StatusOK {
			t.Errorf("with room again: %d", status)
		}
	}
}

// Whoever announces a long body and sends it slowly, which any pod can do that reaches the port, keeps the room for it no longer
// than a request may take.
func TestSlowSendersLeaveTheRoom(t *testing.T) {
	server := NewServer(webhook.Options{})
	server.Register("/validate", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	listening := httptest.NewServer(server.WebhookMux())
	var slow []net.Conn
	defer func() {
		for _, conn := range slow {
			conn.Close()
		}
		listening.Close()
	}()
	for range 4 {
		conn, err := net.Dial("tcp", listening.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
		if _, err := fmt.Fprintf(conn, "POST /validate?timeout=500ms HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{", mostBody); err != nil {
			t.Fatal(err)
		}
	}
	for server.bodies.TryAcquire(mostBody) { // until they have it all
		server.bodies.Release(mostBody)
		goruntime.Gosched()
	}
	body := strings.NewReader(strings.Repeat(" ", mostBody))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, listening.URL+"/validate?timeout=10s", body)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	response, err := listening.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || len(text) > 0 {
		t.Errorf("the next gets %d %s after %v, %v", response.StatusCode, text, time.Since(began), err)
	}
}
