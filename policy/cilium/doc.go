// Package cilium converts Cilium's policies of a namespace to NetworkPolicies that mean the same, if possible
// (https://docs.cilium.io/en/stable/security/policy/language/). If not, the error names the field.
//
// Allowing rules of Cilium and of Kubernetes add up. Rules that deny take precedence over all that allow, so what they
// deny stays denied: these policies stay, and other policies are still read. An address range means the same for Cilium
// as in a NetworkPolicy that Cilium enforces: addresses outside the cluster.
package cilium

import (
	"errors"
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/apptier/apptier/policy/foreign"
)

// Is says whether an object is a policy of Cilium, of a namespace or of all.
func Is(o *unstructured.Unstructured) bool {
	return o.GroupVersionKind().Group == "cilium.io" && strings.HasSuffix(o.GetKind(), "NetworkPolicy")
}

// Read returns the policies that mean the same as one of Cilium's.
func Read(o *unstructured.Unstructured) ([]*networkingv1.NetworkPolicy, error) {
	if o.GetKind() != "CiliumNetworkPolicy" {
		return nil, errors.New("kind: " + o.GetKind() + " is not for the pods of a namespace alone")
	}
	var specs []any
	var paths []string
	if spec, found := o.Object["spec"]; found && spec != nil {
		specs, paths = append(specs, spec), append(paths, "spec")
	}
	list, err := foreign.List("specs", o.Object["specs"])
	if err != nil {
		return nil, err
	}
	for i, spec := range list {
		specs, paths = append(specs, spec), append(paths, fmt.Sprintf("specs[%d]", i))
	}
	if len(specs) == 0 {
		return nil, errors.New("spec: there is none")
	}
	var out []*networkingv1.NetworkPolicy
	for i, spec := range specs {
		policy, err := readSpec(paths[i], spec)
		if err != nil {
			return nil, err
		}
		policy.ObjectMeta = metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: foreign.Name("cilium", o.GetName(), i, len(specs))}
		out = append(out, policy)
	}
	return out, nil
}

func readSpec(path string, spec any) (*networkingv1.NetworkPolicy, error) {
	of, err := foreign.Object(path, spec, "endpointSelector", "ingress", "egress", "description", "labels")
	if err != nil {
		return nil, err
	}
	if of["endpointSelector"] == nil {
		return nil, errors.New(path + ".endpointSelector: there is none")
	}
	pods, namespaces, err := selectorOf(path+".endpointSelector", of["endpointSelector"])
	switch {
	case err != nil:
		return nil, err
	case namespaces != nil:
		return nil, errors.New(path + ".endpointSelector: it is about labels of namespaces")
	}
	out := &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{PodSelector: *pods}}
	for _, direction := range foreign.Directions {
		list, err := foreign.List(path+"."+direction, of[direction])
		if err != nil {
			return nil, err
		}
		if len(list) == 0 { // which isolates nothing
			continue
		}
		var rules []foreign.Rule
		for i, item := range list {
			found, err := rulesOf(fmt.Sprintf("%s.%s[%d]", path, direction, i), item, direction)
			if err != nil {
				return nil, err
			}
			rules = append(rules, found...)
		}
		out.Spec.PolicyTypes = append(out.Spec.PolicyTypes, foreign.TypeOf(direction))
		foreign.Add(&out.Spec, direction, rules)
	}
	if len(out.Spec.PolicyTypes) == 0 {
		return nil, errors.New(path + ": it has no rules, and isolates nobody")
	}
	return out, nil
}
