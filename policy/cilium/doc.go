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
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
	list, isList := o.Object["specs"].([]any)
	if !isList && o.Object["specs"] != nil {
		return nil, errors.New("specs: it is no list")
	}
	for i, spec := range list {
		specs, paths = append(specs, spec), append(paths, fmt.Sprintf("specs[%d]", i))
	}
	if len(specs) == 0 {
		return nil, errors.New("spec: there is none")
	}
	var out []*networkingv1.NetworkPolicy
	for i, spec := range specs {
		of, isObject := spec.(map[string]any)
		if !isObject {
			return nil, errors.New(paths[i] + ": it is no object")
		}
		policy, err := readSpec(paths[i], of)
		if err != nil {
			return nil, err
		}
		name := "cilium." + o.GetName()
		if len(specs) > 1 {
			name = fmt.Sprintf("%s.%d", name, i)
		}
		policy.ObjectMeta = metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: name}
		out = append(out, policy)
	}
	return out, nil
}

func readSpec(path string, of map[string]any) (*networkingv1.NetworkPolicy, error) {
	if err := only(path, of, "endpointSelector", "ingress", "egress", "description", "labels"); err != nil {
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
	for _, direction := range []string{"ingress", "egress"} {
		list, isList := of[direction].([]any)
		if !isList && of[direction] != nil {
			return nil, fmt.Errorf("%s.%s: it is no list", path, direction)
		}
		if len(list) == 0 { // which isolates nothing
			continue
		}
		var rules []rule
		for i, item := range list {
			found, err := rulesOf(fmt.Sprintf("%s.%s[%d]", path, direction, i), item, direction)
			if err != nil {
				return nil, err
			}
			rules = append(rules, found...)
		}
		add(&out.Spec, direction, rules)
	}
	if len(out.Spec.PolicyTypes) == 0 {
		return nil, errors.New(path + ": it has no rules, and isolates nobody")
	}
	return out, nil
}

func add(spec *networkingv1.NetworkPolicySpec, direction string, rules []rule) {
	if direction == "ingress" {
		spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeIngress)
	} else {
		spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
	for _, r := range rules {
		if direction == "ingress" {
			spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.peers, Ports: r.ports})
		} else {
			spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.peers, Ports: r.ports})
		}
	}
}

// only says which field of an object has no counterpart.
func only(path string, of map[string]any, known ...string) error {
	var others []string
	for key := range of {
		if !slices.Contains(known, key) {
			others = append(others, key)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("%s.%s: NetworkPolicies have no such field", path, slices.Min(others))
}
