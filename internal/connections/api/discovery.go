package api

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// groups is what is served, in the form that every API server knows: one that asks for aggregated discovery takes it, too.
func groups(*http.Request) (any, error) {
	return metav1.APIGroupList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"}, Groups: []metav1.APIGroup{onlyGroup()}}, nil
}

func group(*http.Request) (any, error) { return onlyGroup(), nil }

func onlyGroup() metav1.APIGroup {
	version := metav1.GroupVersionForDiscovery{GroupVersion: connections.GroupVersion.String(), Version: connections.GroupVersion.Version}
	return metav1.APIGroup{
		TypeMeta:         metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroup"},
		Name:             connections.GroupVersion.Group,
		Versions:         []metav1.GroupVersionForDiscovery{version},
		PreferredVersion: version,
	}
}

func resources(*http.Request) (any, error) {
	return metav1.APIResourceList{
		TypeMeta:     metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"},
		GroupVersion: connections.GroupVersion.String(),
		APIResources: []metav1.APIResource{{
			Name: resource, SingularName: "connection", Kind: "Connection", Namespaced: true, Verbs: metav1.Verbs{"get", "list"},
		}},
	}, nil
}
