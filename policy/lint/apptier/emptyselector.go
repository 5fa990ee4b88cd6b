package apptier

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// EmptySelector reports where a selector would match everything.
var EmptySelector = register(check.Check{
	ID: "empty-selector", Severity: check.Reject, About: check.OfAppTiers,
	Title: "An empty selector",
	Text:  `An empty selector matches everything, which is rarely the intent of a tier or a peer.`,
})

func checkSelector(r *check.Report, path *field.Path, selector *metav1.LabelSelector, fix string) {
	if len(selector.MatchLabels) == 0 && len(selector.MatchExpressions) == 0 {
		r.Find(EmptySelector, path, fix, "an empty selector matches everything")
	}
	checkSelectorSyntax(r, path, selector)
}

func checkSelectorSyntax(r *check.Report, path *field.Path, selector *metav1.LabelSelector) {
	for _, err := range metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path) {
		r.FindError(netpol.Invalid, err, "see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/")
	}
}
