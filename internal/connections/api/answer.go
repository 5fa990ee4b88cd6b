package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

var groupResource = schema.GroupResource{Group: connections.GroupVersion.Group, Resource: resource}

// known serves what does not depend on who asks.
func (h *handler) known(body func(*http.Request) (any, error)) http.Handler {
	return h.answered(func(_ context.Context, r *http.Request, _ user.Info) (any, error) { return body(r) })
}

// answered serves what is small.
func (h *handler) answered(answer func(context.Context, *http.Request, user.Info) (any, error)) http.Handler {
	return h.authenticated(func(ctx context.Context, w http.ResponseWriter, r *http.Request, who user.Info) {
		body, err := answer(ctx, r, who)
		if err != nil {
			h.fail(w, err)
			return
		}
		h.write(w, http.StatusOK, body)
	})
}

// authenticated passes on requests of whom the API server has authenticated.
func (h *handler) authenticated(serve func(context.Context, http.ResponseWriter, *http.Request, user.Info)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		who, ok, err := h.Authenticator.AuthenticateRequest(r)
		if err != nil || !ok {
			h.Log.V(1).Info("Refused a request that is not the API server's", "from", r.RemoteAddr)
			h.fail(w, apierrors.NewUnauthorized("only the API server's proxy may ask"))
			return
		}
		serve(ctx, w, r, who.User)
	})
}

// fail answers with a Status, as every API of Kubernetes does.
func (h *handler) fail(w http.ResponseWriter, err error) {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		h.Log.Error(err, "Cannot answer")
		known = apierrors.NewInternalError(errors.New("the manager's log says why"))
	}
	status := known.Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	if d := status.Details; d != nil && d.RetryAfterSeconds > 0 { // by the header clients know that they are to try again
		w.Header().Set("Retry-After", strconv.Itoa(int(d.RetryAfterSeconds)))
	}
	h.write(w, int(status.Code), status)
}

func (h *handler) write(w http.ResponseWriter, code int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		h.Log.Error(err, "Cannot write an answer")
		code, text = http.StatusInternalServerError, nil
	}
	h.send(w, code, text)
}

const (
	// leastTime is how long a client may take for an answer, and leastRate how many bytes of it he must take in a second after that.
	leastTime = 5 * time.Second
	leastRate = 256 << 10
)

// send sends an answer while the client takes it, and ends the connection, or the stream of one, if he takes it too slowly: till then it
// is in memory.
func (h *handler) send(w http.ResponseWriter, code int, text []byte) {
	control := http.NewResponseController(w)
	limit := h.LeastTime + time.Duration(len(text))*time.Second/leastRate
	if err := control.SetWriteDeadline(time.Now().Add(limit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return // the client is gone
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(code)
	_, _ = w.Write(text) //nolint:gosec // it is JSON, and says so; the client is gone, if at all
}

// other answers what is not served: the API is read only, and there is nothing to watch it by.
func (h *handler) other(_ context.Context, r *http.Request, _ user.Info) (any, error) {
	if r.Method != http.MethodGet {
		return nil, apierrors.NewMethodNotSupported(groupResource, r.Method)
	}
	return nil, &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		Message: fmt.Sprintf("there is no %s", r.URL.Path),
	}}
}
