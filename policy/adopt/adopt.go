// Package adopt converts NetworkPolicies to AppTiers, and proves that they allow the same connections.
//
// Policies for the same pods become a tier. What one side may send and the other accepts becomes one declaration, at the
// receiver; what every pod needs to resolve names becomes spec.dns; a denial for every pod of a namespace becomes
// isolation.scope. What an AppTier cannot say stays a NetworkPolicy.
//
// What is written is expanded again and compared with what was read. Where a connection differs, the policies at fault
// stay as well, unless the difference is one that comes with the meaning of an AppTier: these are returned with it, as
// differences. So nothing is opened without being said.
package adopt

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/expand"
)

// Input is what is read.
type Input struct {
	// Policies become AppTiers. Beside are all other policies, including the policies of AppTiers.
	Policies, Beside []*networkingv1.NetworkPolicy
	// Pods are the existing pods, and those that workloads would make.
	Pods []Pod
	// Namespaces are the namespaces with known labels.
	Namespaces []*corev1.Namespace
	// AppTiers are the existing AppTiers.
	AppTiers []*v1alpha1.AppTier
	// Narrow has a peer be a tier where all pods that are given and that it is about are the tier's. What it allows others
	// is closed, and among the differences.
	Narrow bool
	// Environment is what an AppTier's meaning depends on. Its AppTiers are the existing ones.
	Environment expand.Environment
	// Unjudged says of which namespaces there are policies of other kinds that are not among these, and may isolate or
	// allow anything. It may be nil.
	Unjudged func(namespace string) bool
	// Refuses says why an AppTier cannot be as it is, as a path and what is the matter; "" if it can. It may be nil.
	Refuses func(*v1alpha1.AppTier) string

	labels map[string]labels.Set // of the namespaces
}

// Pod is a pod, and the name of the workload that makes it, if one does.
type Pod struct {
	*corev1.Pod
	Workload string
}

// Result is what was made of the policies.
type Result struct {
	AppTiers []*v1alpha1.AppTier
	// Adopted are the policies that AppTiers can express, and Stays the others; both in the order of the input.
	Adopted []Adopted
	Stays   []Stay
	// Policies are the policies of the AppTiers.
	Policies []*networkingv1.NetworkPolicy
	// Differences are what the AppTiers allow and the policies did not, or the other way round.
	Differences compare.Result
}

// Adopted is a policy, and what says the same.
type Adopted struct {
	Policy  *networkingv1.NetworkPolicy
	AppTier types.NamespacedName
	// Tier is empty for what holds for every pod of the namespace.
	Tier string
	// Numbers are the ports that the policy calls by names, and the names. Pods that have no such name have the port
	// open then.
	Numbers map[int32]string
}

// Stay is a policy that stays, and why: a field of it, and what is the matter.
type Stay struct {
	Policy *networkingv1.NetworkPolicy
	Reason string
}

// Prover compares the cluster as it is with one in which some policies are in place of all that there are.
type Prover func(ctx context.Context, policies []*networkingv1.NetworkPolicy) (compare.Result, error)

// Import returns what says the same as the policies of the input. Its error is the prover's.
func Import(ctx context.Context, in Input, prove Prover) (Result, error) {
	in.labels = map[string]labels.Set{}
	for _, n := range in.Namespaces {
		in.labels[n.Name] = labels.Merge(n.Labels, labels.Set{corev1.LabelMetadataName: n.Name})
	}
	kept := map[types.NamespacedName]string{}
	for {
		p := in.propose(kept)
		out := p.result()
		if p.keepRefused(out, kept) {
			continue
		}
		var err error
		out.Differences, err = prove(ctx, slices.Concat(in.Beside, out.staying(), out.Policies))
		if err != nil {
			return out, fmt.Errorf("comparing what AppTiers stand for with the policies: %w", err)
		}
		if !p.keepFaulty(out, kept) {
			return out, nil
		}
	}
}

func (in *Input) isUnjudged(namespace string) bool {
	return in.Unjudged != nil && in.Unjudged(namespace)
}

func (r *Result) staying() []*networkingv1.NetworkPolicy {
	out := make([]*networkingv1.NetworkPolicy, 0, len(r.Stays))
	for _, s := range r.Stays {
		out = append(out, s.Policy)
	}
	return out
}
