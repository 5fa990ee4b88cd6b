// Package v1alpha1 is version v1alpha1 of the connections.apptier.dev API: the connections that nodes saw, by name. It is
// read only. Nothing of it is stored in the cluster: the manager asks the enforcers of the nodes, which keep it in memory.
//
// +kubebuilder:object:generate=true
// +kubebuilder:skip
// +k8s:openapi-gen=true
// +groupName=connections.apptier.dev
package v1alpha1
