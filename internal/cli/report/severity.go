package report

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/lint/check"
)

// severities are the values of the flag --fail-on, from the worst down.
var severities = []check.Severity{check.Reject, check.Warn, check.Note}

// AddFailOn adds the flag --fail-on.
func AddFailOn(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "fail-on", string(check.Reject), "The least severity that fails: error, warning (or warn), or note.")
	_ = cmd.RegisterFlagCompletionFunc("fail-on",
		cobra.FixedCompletions([]string{"error", "warning", "note"}, cobra.ShellCompDirectiveNoFileComp))
}

// SeverityOf reads a value of --fail-on.
func SeverityOf(text string) (check.Severity, error) {
	short := map[string]check.Severity{"warn": check.Warn, "reject": check.Reject}
	if severity, found := short[text]; found {
		return severity, nil
	}
	if slices.Contains(severities, check.Severity(text)) {
		return check.Severity(text), nil
	}
	return "", fmt.Errorf("--fail-on %q is not known: use error, warning or note", text)
}

// Failure is the answer of findings of which some are at least as bad as a severity, or nil.
func Failure(findings []manifest.Finding, least check.Severity) error {
	failing := 0
	for _, severity := range severities[:slices.Index(severities, least)+1] {
		failing += manifest.Count(findings, severity)
	}
	if failing == 0 {
		return nil
	}
	return &exit.AnswerError{Code: exit.Negative, Answer: fmt.Sprintf("%d findings", failing)}
}
