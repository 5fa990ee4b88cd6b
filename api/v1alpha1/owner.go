package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// OwnerOf returns the name of the AppTier, of the same namespace, that an object was generated from. It
// reads the controller reference, because anyone may set labels. Empty if there is none.
func OwnerOf(object metav1.Object) string {
	owner := metav1.GetControllerOf(object)
	if owner == nil || owner.Kind != "AppTier" {
		return ""
	}
	if gv, err := schema.ParseGroupVersion(owner.APIVersion); err != nil || gv.Group != GroupVersion.Group {
		return ""
	}
	return owner.Name
}
