package calico

import (
	"fmt"
	"math"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/apptier/apptier/policy/foreign"
)

// orderOfKubernetes is the order of Kubernetes' own policies among Calico's.
const orderOfKubernetes = 1000

// orderOf is a policy's place: without one, it comes last.
func orderOf(o *unstructured.Unstructured) float64 {
	value, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "order")
	switch order := value.(type) {
	case int64:
		return float64(order)
	case float64:
		return order
	default:
		return math.Inf(1)
	}
}

// keepsOrder says whether a policy is asked before and after the same rules that do not allow, as one of Kubernetes.
func keepsOrder(o *unstructured.Unstructured, all []*unstructured.Unstructured) error {
	order := orderOf(o)
	for _, other := range all {
		if other == o || !Is(other) || !isBeside(other, o) || allowsOnly(other) {
			continue
		}
		at := orderOf(other)
		if order == at || at == orderOfKubernetes || (order < at) != (orderOfKubernetes < at) {
			return fmt.Errorf("spec.order: %s %s does not only allow, and is asked before one of these two alone: "+
				"this policy, and one of Kubernetes in its place", other.GetKind(), other.GetName())
		}
	}
	return nil
}

// isBeside says whether a policy may be for the same pods as another, in the tier of Kubernetes' own.
func isBeside(other, o *unstructured.Unstructured) bool {
	tier, _, _ := unstructured.NestedString(other.Object, "spec", "tier")
	return (tier == "" || tier == "default") && (other.GetNamespace() == "" || other.GetNamespace() == o.GetNamespace())
}

func allowsOnly(o *unstructured.Unstructured) bool {
	for _, direction := range foreign.Directions {
		rules, found, err := unstructured.NestedSlice(o.Object, "spec", direction)
		if err != nil || found && rules == nil {
			return false
		}
		for _, r := range rules {
			rule, _ := r.(map[string]any)
			if rule["action"] != "Allow" {
				return false
			}
		}
	}
	return true
}
