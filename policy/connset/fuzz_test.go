package connset_test

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/connset"
)

// Whatever policies say, what one of them allows and the other does not has an example, which is so.
func FuzzSubtract(f *testing.F) {
	f.Add([]byte(`{"metadata":{"namespace":"a"},"spec":{"podSelector":{"matchLabels":{"app":"web"}},"ingress":[{"from":[{"podSelector":{}}],"ports":[{"port":80,"endPort":90},{"port":"http"}]}]}}`),
		[]byte(`{"metadata":{"namespace":"a"},"spec":{"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{"matchExpressions":[{"key":"team","operator":"NotIn","values":["b"]}]}}]}]}}`))
	f.Add([]byte(`{"spec":{"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}]}]}}`),
		[]byte(`{"spec":{"podSelector":{"matchExpressions":[{"key":"app","operator":"Exists"}]},"egress":[{"to":[{"ipBlock":{"cidr":"::/0"}}],"ports":[{"protocol":"UDP"}]}]}}`))
	f.Fuzz(func(t *testing.T, one, other []byte) {
		var policies [2]networkingv1.NetworkPolicy
		for i, text := range [][]byte{one, other} {
			if yaml.Unmarshal(text, &policies[i]) != nil {
				return
			}
		}
		for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
			allowed, others := boxesOf(&policies[0], direction), boxesOf(&policies[1], direction)
			left, ok := connset.Subtract(allowed, others, 500)
			if !ok {
				continue
			}
			for _, box := range left {
				if c := exampleOf(box); !c.isIn(box) || !isInAny(c, allowed) || isInAny(c, others) {
					t.Fatalf("%+v is not in %+v", c, box)
				}
			}
		}
	})
}

func boxesOf(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []connset.Box {
	var out []connset.Box
	for _, clause := range connset.Read(policy).Clauses(direction) {
		out = append(out, clause.Box)
	}
	return out
}
