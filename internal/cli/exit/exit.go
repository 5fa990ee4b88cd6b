// Package exit says what the plugin's process ends with: an answer, a negative one, or no answer.
package exit

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit codes. Each command's help says when it uses which.
const (
	Negative  = 1 // the answer is no: refused, findings, denied
	codeError = 2 // there is no answer: wrong usage, unreadable input, no cluster
	Unknown   = 3 // the answer is that nobody can know
)

// AnswerError says that a command did its work, and that the answer is not yes. The answer has
// been printed.
type AnswerError struct {
	Code   int
	Answer string
}

// Error is the answer.
func (e *AnswerError) Error() string { return e.Answer }

// Code is what a process that ends with the error of a command exits with.
func Code(err error) int {
	var answer *AnswerError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &answer):
		return answer.Code
	default:
		return codeError
	}
}

// Report prints an error that a command ended with, one line for each thing that is wrong, unless
// it is an answer, which has been printed.
func Report(out io.Writer, err error) {
	var answer *AnswerError
	if err == nil || errors.As(err, &answer) {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(out, "error: "+line)
	}
}
