package webhooks

import (
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/apptier/apptier/policy/lint/check"
)

func warnings(findings []check.Finding) admission.Warnings {
	var out admission.Warnings
	for _, finding := range check.WithSeverity(findings, check.Warn) {
		out = append(out, finding.String())
	}
	return out
}

// refusal returns an error with all findings that reject: for people in the message, for programs as
// causes. Without any it returns nil.
func refusal(kind schema.GroupKind, name string, findings []check.Finding) error {
	rejected := check.WithSeverity(findings, check.Reject)
	if len(rejected) == 0 {
		return nil
	}
	var message strings.Builder
	fmt.Fprintf(&message, "%s %s is refused:", kind.Kind, name)
	causes := make([]metav1.StatusCause, len(rejected))
	for i, finding := range rejected {
		fmt.Fprintf(&message, "\n  %s: %s (%s)\n    fix: %s", finding.Path, finding.Message, finding.Check, finding.Fix)
		causes[i] = metav1.StatusCause{Type: metav1.CauseType(finding.Check), Field: string(finding.Path),
			Message: finding.Message + "; " + finding.Fix}
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusUnprocessableEntity,
		Reason:  metav1.StatusReasonInvalid,
		Message: message.String(),
		Details: &metav1.StatusDetails{Group: kind.Group, Kind: kind.Kind, Name: name, Causes: causes},
	}}
}
