package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

var groupResource = schema.GroupResource{Group: connections.GroupVersion.Group, Resource: resource}

// known serves what does not depend on who asks.
func (h *handler) known(body func(*http.Request) (any, error)) http.Handler {
	return h.authenticated(func(_ context.Context, r *http.Request, _ user.Info) (any, error) { return body(r) })
}

// authenticated passes on requests of whom the API server has authenticated.
func (h *handler) authenticated(answer func(context.Context, *http.Request, user.Info) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		who, ok, err := h.Authenticator.AuthenticateRequest(r)
		if err != nil || !ok {
			h.Log.V(1).Info("Refused a request that is not the API server's", "from", r.RemoteAddr)
			h.fail(w, apierrors.NewUnauthorized("only the API server's proxy may ask"))
			return
		}
		body, err := answer(ctx, r, who.User)
		if err != nil {
			h.fail(w, err)
			return
		}
		write(w, http.StatusOK, body)
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
	write(w, int(status.Code), status)
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone, if at all
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
