// Package calico converts Calico's NetworkPolicies to Kubernetes NetworkPolicies that mean the same, if possible
// (https://docs.tigera.io/calico/latest/reference/resources/networkpolicy). If not, the error names the field.
//
// Calico evaluates policies in their order, and the first rule that matches decides; Kubernetes' policies have the
// order 1000. While all rules allow, the order does not matter. A rule that denies decides before later rules, so a
// policy is read only if the conversion does not move it across such a rule.
//
// Selectors of Calico also match its NetworkSets, which are not pods and are not read.
package calico

import (
	"errors"
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/apptier/apptier/policy/foreign"
)

// Is says whether an object is a policy of Calico, of a namespace or of all.
func Is(o *unstructured.Unstructured) bool {
	group := o.GroupVersionKind().Group
	return (group == "projectcalico.org" || group == "crd.projectcalico.org") && strings.HasSuffix(o.GetKind(), "NetworkPolicy")
}

// Read returns the policies that mean the same as one of Calico's, given all of Calico's.
func Read(o *unstructured.Unstructured, all []*unstructured.Unstructured) ([]*networkingv1.NetworkPolicy, error) {
	if o.GetKind() != "NetworkPolicy" {
		return nil, errors.New("kind: " + o.GetKind() + " is not for the pods of a namespace alone")
	}
	spec, isSpec := o.Object["spec"].(map[string]any)
	if !isSpec {
		return nil, errors.New("spec: there is none")
	}
	if err := foreign.Only("spec", spec, "tier", "order", "selector", "types", "ingress", "egress"); err != nil {
		return nil, err
	}
	if tier, _ := spec["tier"].(string); tier != "" && tier != "default" {
		return nil, errors.New("spec.tier: policies of the tier " + tier + " are asked before those of Kubernetes")
	}
	if err := keepsOrder(o, all); err != nil {
		return nil, err
	}
	subjects, err := selectorOf("spec.selector", spec["selector"], podLabel)
	if err != nil {
		return nil, err
	}
	types, err := typesOf(spec)
	if err != nil {
		return nil, err
	}
	read := networkingv1.NetworkPolicySpec{PolicyTypes: types}
	for _, direction := range foreign.Directions {
		rules, err := rulesOf(spec, direction)
		if err != nil {
			return nil, err
		}
		foreign.Add(&read, direction, rules)
	}
	out := make([]*networkingv1.NetworkPolicy, 0, len(subjects))
	for i, subject := range subjects {
		read.PodSelector = *subject.selector()
		out = append(out, &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: foreign.Name("calico", o.GetName(), i, len(subjects))},
			Spec:       read,
		})
	}
	if len(out) == 0 {
		return nil, errors.New("spec.selector: it selects nobody")
	}
	return out, nil
}

// typesOf are the directions of a policy: without types the directions of its rules, or ingress.
func typesOf(spec map[string]any) ([]networkingv1.PolicyType, error) {
	list, err := foreign.List("spec.types", spec["types"])
	if err != nil {
		return nil, err
	}
	var out []networkingv1.PolicyType
	for _, item := range list {
		word, _ := item.(string)
		of := networkingv1.PolicyType(word)
		if of != networkingv1.PolicyTypeIngress && of != networkingv1.PolicyTypeEgress {
			return nil, fmt.Errorf("spec.types: %v is no direction", item)
		}
		out = append(out, of)
	}
	if len(out) > 0 {
		return out, nil
	}
	_, in := spec["ingress"].([]any)
	_, eg := spec["egress"].([]any)
	if in || !eg {
		out = append(out, networkingv1.PolicyTypeIngress)
	}
	if eg {
		out = append(out, networkingv1.PolicyTypeEgress)
	}
	return out, nil
}
