// Package v1alpha1 is version v1alpha1 of the policy.apptier.dev API: the AppTier resource, which
// says what an application's tiers are and who may talk to whom.
//
// Field documentation is normative: it says what a field means, what unset means, and what wins
// on conflict.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=policy.apptier.dev
package v1alpha1
