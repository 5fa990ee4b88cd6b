package api

import (
	"context"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/user"
)

// described serves what describes the API. It is the same for everybody whom the API server has authenticated.
func (h *handler) described() http.Handler {
	return h.authenticated(func(_ context.Context, w http.ResponseWriter, r *http.Request, _ user.Info) {
		h.OpenAPI.ServeHTTP(w, r)
	})
}
