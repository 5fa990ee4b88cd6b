package openapi_test

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"k8s.io/kube-openapi/pkg/spec3"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/connections/openapi"
)

// get is what the handler answers at a path, as JSON.
func get(t *testing.T, path string, into any) {
	t.Helper()
	handler, err := openapi.New()
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
	if err := json.Unmarshal(recorder.Body.Bytes(), into); err != nil {
		t.Fatalf("%s answers %d: %v: %s", path, recorder.Code, err, recorder.Body)
	}
}

// The API server finds the description by the path that /openapi/v3 names.
func TestIsFound(t *testing.T) {
	var root struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	get(t, "/openapi/v3", &root)
	at := root.Paths[openapi.Group].ServerRelativeURL
	if !strings.HasPrefix(at, "/openapi/v3/"+openapi.Group+"?hash=") {
		t.Fatalf("is at %q", at)
	}
	var document spec3.OpenAPI
	get(t, at, &document)
	if len(document.Components.Schemas) == 0 {
		t.Error("describes nothing")
	}
}

// kubectl explain finds the kind by the operations at the resource's paths, and the schema by the kind.
func TestIsOfItsKind(t *testing.T) {
	var document struct {
		Paths map[string]struct {
			Get struct {
				Kind map[string]string `json:"x-kubernetes-group-version-kind"`
			}
		}
		Components struct {
			Schemas map[string]struct {
				Kinds []map[string]string `json:"x-kubernetes-group-version-kind"`
			}
		}
	}
	get(t, "/openapi/v3/"+openapi.Group, &document)
	kind := map[string]string{"group": connections.GroupVersion.Group, "version": connections.GroupVersion.Version, "kind": "Connection"}
	for _, path := range []string{"connections", "namespaces/{namespace}/connections", "namespaces/{namespace}/connections/{name}"} {
		if got := document.Paths["/"+openapi.Group+"/"+path].Get.Kind; !reflect.DeepEqual(got, kind) {
			t.Errorf("%s is of %v", path, got)
		}
	}
	of := document.Components.Schemas["com.github.apptier.apptier.api.connections.v1alpha1.Connection"].Kinds
	if !reflect.DeepEqual(of, []map[string]string{kind}) {
		t.Errorf("the schema is of %v", of)
	}
}

// Every field is described, as its type has it.
func TestFieldsAreThere(t *testing.T) {
	var document spec3.OpenAPI
	get(t, "/openapi/v3/"+openapi.Group, &document)
	for _, of := range []any{
		connections.Connection{}, connections.ConnectionList{}, connections.End{}, connections.PolicyReference{}, connections.Missing{},
	} {
		name := reflect.TypeOf(of).Name()
		schema := document.Components.Schemas["com.github.apptier.apptier.api.connections.v1alpha1."+name]
		if schema == nil || schema.Description == "" {
			t.Errorf("%s is not described", name)
			continue
		}
		for i := range reflect.TypeOf(of).NumField() {
			field, _, _ := strings.Cut(reflect.TypeOf(of).Field(i).Tag.Get("json"), ",")
			property, found := schema.Properties[field]
			if isOurs := field != "" && field != "metadata"; isOurs && (!found || property.Description == "") {
				t.Errorf("%s of %s is not described", field, name)
			}
		}
	}
}
