// Package foreign has what the readers of network plugins' policies share: they read fields without a type, and make
// rules of NetworkPolicies from them. Errors start with the field's path.
package foreign

import (
	"errors"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// List is a field that is a list, or is not there.
func List(path string, value any) ([]any, error) {
	list, isList := value.([]any)
	if !isList && value != nil {
		return nil, errors.New(path + ": it is no list")
	}
	return list, nil
}

// Object is a field that is an object with no other fields than the known ones: others have no counterpart.
func Object(path string, value any, known ...string) (map[string]any, error) {
	of, isObject := value.(map[string]any)
	if !isObject {
		return nil, errors.New(path + ": it is no object")
	}
	return of, Only(path, of, known...)
}

// Only says which field of an object has no counterpart.
func Only(path string, of map[string]any, known ...string) error {
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

// Rule is a rule of either direction.
type Rule struct {
	Peers []networkingv1.NetworkPolicyPeer
	Ports []networkingv1.NetworkPolicyPort
}

// Directions are the names of the fields that hold a policy's rules.
var Directions = []string{"ingress", "egress"}

// Add adds rules of a direction to a policy.
func Add(spec *networkingv1.NetworkPolicySpec, direction string, rules []Rule) {
	for _, r := range rules {
		if direction == "ingress" {
			spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.Peers, Ports: r.Ports})
		} else {
			spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.Peers, Ports: r.Ports})
		}
	}
}

// TypeOf is the policy type of a direction.
func TypeOf(direction string) networkingv1.PolicyType {
	if direction == "ingress" {
		return networkingv1.PolicyTypeIngress
	}
	return networkingv1.PolicyTypeEgress
}

// Name is that of one of the policies that a plugin's policy becomes.
func Name(plugin, name string, index, of int) string {
	if of == 1 {
		return plugin + "." + name
	}
	return fmt.Sprintf("%s.%s.%d", plugin, name, index)
}
