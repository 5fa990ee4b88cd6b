package check_test

import (
	"testing"

	"github.com/apptier/apptier/policy/lint/check"
)

// A name that begins like another is another.
func TestPathWithin(t *testing.T) {
	for _, test := range []struct {
		path, other check.Path
		within      bool
	}{
		{"spec.ingress", "spec.ingress", true},
		{"spec.ingress[0].from[1]", "spec.ingress", true},
		{"spec.ingress[10]", "spec.ingress[1]", false},
		{"spec.ingress[1].ports", "spec.ingress[1]", true},
		{"spec.ingressClass", "spec.ingress", false},
		{"spec.egress", "spec.ingress", false},
		{"spec", "spec.ingress", false},
	} {
		if got := test.path.Within(test.other); got != test.within {
			t.Errorf("%s within %s: %v", test.path, test.other, got)
		}
	}
}
