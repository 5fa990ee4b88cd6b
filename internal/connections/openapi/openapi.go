// Package openapi describes the API of connections in OpenAPI, as it does every API of Kubernetes: kubectl explain, and what
// makes clients, reads it from the API server, which asks for it here.
package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	kubernetes "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// Group is where the description of the group is, below /openapi/v3/.
const Group = "apis/connections.apptier.dev/v1alpha1"

// kindKey is the extension that says of which kind a schema or an operation is.
const kindKey = "x-kubernetes-group-version-kind"

// New returns a handler of /openapi/v3, and of what is below it.
func New() (http.Handler, error) {
	described, err := describe()
	if err != nil {
		return nil, fmt.Errorf("describing the API of connections: %w", err)
	}
	service := handler3.NewOpenAPIService()
	service.UpdateGroupVersion(Group, described)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /openapi/v3", service.HandleDiscovery)
	mux.HandleFunc("GET /openapi/v3/"+Group, service.HandleGroupVersion)
	return mux, nil
}

// describe makes the description of the types, and of where they are served.
func describe() (*spec3.OpenAPI, error) {
	config := &common.OpenAPIV3Config{
		Info:              &spec.Info{InfoProps: spec.InfoProps{Title: "Connections that nodes saw", Version: connections.GroupVersion.Version}},
		Definitions:       definitions(),
		GetDefinitionName: func(name string) (string, spec.Extensions) { return name, kindsOf(name) },
	}
	schemas, err := builder3.BuildOpenAPIDefinitionsForResources(config, named("Connection"), named("ConnectionList"))
	if err != nil {
		return nil, fmt.Errorf("building the schemas: %w", err)
	}
	return &spec3.OpenAPI{
		Version: "3.0.0", Info: config.Info, Components: &spec3.Components{Schemas: schemas},
		Paths: &spec3.Paths{Paths: map[string]*spec3.Path{
			"/" + Group + "/connections":                               path("list", "ConnectionList"),
			"/" + Group + "/namespaces/{namespace}/connections":        path("list", "ConnectionList", "namespace"),
			"/" + Group + "/namespaces/{namespace}/connections/{name}": path("get", "Connection", "namespace", "name"),
		}},
	}, nil
}

// definitions are those of our types, and of Kubernetes' that they have, by one form of their names.
func definitions() map[string]common.OpenAPIDefinition {
	ref := func(name string) spec.Ref { return spec.MustCreateRef("#/components/schemas/" + nameOf(name)) }
	out := map[string]common.OpenAPIDefinition{}
	add := func(all map[string]common.OpenAPIDefinition) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			one := all[name]
			for i, needed := range one.Dependencies {
				one.Dependencies[i] = nameOf(needed)
			}
			out[nameOf(name)] = one
		}
	}
	add(kubernetes.GetOpenAPIDefinitions(ref))
	add(GetOpenAPIDefinitions(ref))
	return out
}

// nameOf is the name of a type as schemas have it, of its name in Go or of itself.
func nameOf(name string) string {
	if strings.Contains(name, "/") {
		return util.ToRESTFriendlyName(name)
	}
	return name
}

func named(kind string) string {
	return nameOf("github.com/apptier/apptier/api/connections/v1alpha1." + kind)
}

// kindsOf are the kinds of which a schema is.
func kindsOf(name string) spec.Extensions {
	for _, kind := range []string{"Connection", "ConnectionList"} {
		if name == named(kind) {
			return spec.Extensions{kindKey: []any{identity(kind)}}
		}
	}
	return nil
}

func identity(kind string) map[string]any {
	of := connections.GroupVersion.WithKind(kind)
	return map[string]any{"group": of.Group, "version": of.Version, "kind": of.Kind}
}

// path is one that answers GET with a type. Its parameters are parts of it.
func path(verb, kind string, parameters ...string) *spec3.Path {
	body := spec.Schema{SchemaProps: spec.SchemaProps{Ref: spec.MustCreateRef("#/components/schemas/" + named(kind))}}
	get := &spec3.Operation{OperationProps: spec3.OperationProps{
		Tags: []string{"connections"}, OperationId: verb + kind + strings.Join(parameters, ""),
		Responses: &spec3.Responses{ResponsesProps: spec3.ResponsesProps{StatusCodeResponses: map[int]*spec3.Response{200: {
			ResponseProps: spec3.ResponseProps{
				Description: "OK",
				Content:     map[string]*spec3.MediaType{"application/json": {MediaTypeProps: spec3.MediaTypeProps{Schema: &body}}},
			},
		}}}},
	}}
	get.AddExtension(kindKey, identity("Connection"))
	get.AddExtension("x-kubernetes-action", verb)
	out := &spec3.Path{PathProps: spec3.PathProps{Get: get}}
	for _, name := range parameters {
		out.Parameters = append(out.Parameters, &spec3.Parameter{ParameterProps: spec3.ParameterProps{
			Name: name, In: "path", Required: true, Schema: spec.StringProperty(),
		}})
	}
	return out
}
