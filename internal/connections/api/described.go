package api

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// described serves what describes the API. It is the same for everybody whom the API server has authenticated.
func (h *handler) described() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok, err := h.Authenticator.AuthenticateRequest(r); err != nil || !ok {
			h.fail(w, apierrors.NewUnauthorized("only the API server's proxy may ask"))
			return
		}
		h.OpenAPI.ServeHTTP(w, r)
	})
}
