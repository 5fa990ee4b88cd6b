package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-logr/logr/testr"

	"github.com/apptier/apptier/internal/connections/api"
	"github.com/apptier/apptier/internal/connections/openapi"
)

// Everybody whom the API server knows may see what the API is, and nobody else.
func TestIsDescribed(t *testing.T) {
	description, err := openapi.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		who, path string
		described http.Handler
		want      int
	}{
		{"nobody", "/openapi/v3", description, http.StatusOK},
		{"nobody", "/openapi/v3/" + openapi.Group, description, http.StatusOK},
		{"", "/openapi/v3", description, http.StatusUnauthorized},
		{"", "/openapi/v3/" + openapi.Group, description, http.StatusUnauthorized},
		{"nobody", "/openapi/v3/apis/apps/v1", description, http.StatusNotFound},
		{"nobody", "/openapi/v3", nil, http.StatusNotFound},
	} {
		handler := api.New(api.Options{Lister: seen{}, Authenticator: byHeader, MayList: mayList, OpenAPI: test.described, Log: testr.New(t)})
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, nil)
		request.Header.Set("X-Remote-User", test.who)
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		if response.Code != test.want {
			t.Errorf("%q gets %d at %s, want %d", test.who, response.Code, test.path, test.want)
		}
	}
}
