package controllers

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// owners are those of a policy. The policy of the namespace, while there is one, owns those of the
// tiers as well: the garbage collector removes an object once none of its owners is left, and so, when
// the AppTier is deleted, no tier's policy before the one that would deny everything without it.
func owners(app *v1alpha1.AppTier, policy string, existing map[string]*networkingv1.NetworkPolicy) []metav1.OwnerReference {
	list := []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "AppTier", Name: app.Name, UID: app.UID,
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}}
	name := expand.NamespacePolicyName(app.Name)
	if denial := existing[name]; policy != name && denial != nil && generatedFrom(app, denial) {
		list = append(list, metav1.OwnerReference{
			APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy", Name: name, UID: denial.UID,
		})
	}
	return list
}

// ownedAs says whether a policy has the desired owners. More are fine: the garbage collector removes
// owners that are gone.
func ownedAs(want, have *networkingv1.NetworkPolicy) bool {
	return !slices.ContainsFunc(want.OwnerReferences, func(owner metav1.OwnerReference) bool {
		return !slices.ContainsFunc(have.OwnerReferences, func(o metav1.OwnerReference) bool { return equality.Semantic.DeepEqual(o, owner) })
	})
}

// generatedFrom says whether a policy is a child of an AppTier of this name. It does not compare the
// owner's UID: an AppTier that was deleted and created again takes over the policies of the first. It
// does not compare labels either: anyone may have changed them.
func generatedFrom(app *v1alpha1.AppTier, policy *networkingv1.NetworkPolicy) bool {
	return policy.Namespace == app.Namespace && v1alpha1.OwnerOf(policy) == app.Name
}
