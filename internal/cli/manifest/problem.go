package manifest

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/apptier/apptier/policy/lint/check"
)

// Problem is something that cannot be read: where, in which object if there is one, and what is wrong.
type Problem struct {
	origin Origin
	// path is of the field; empty for the object, or where line says more.
	path string
	// line of the file; 0 where path says it.
	line int
	who  string
	what string
	// fix is what to write instead; empty where what says enough.
	fix string
}

// NewProblem is what is wrong with a field of an object that was read.
func NewProblem(o Object, path, what, fix string) *Problem {
	return &Problem{origin: o.Origin, path: path, who: o.Name, what: what, fix: fix}
}

// Error is the problem as one line: where, what and the fix.
func (p *Problem) Error() string {
	text := p.where() + ": "
	if p.who != "" {
		text += p.who + ": "
	}
	if p.path != "" {
		text += p.path + ": "
	}
	text += p.what
	if p.fix != "" {
		text += ": " + p.fix
	}
	return text
}

func (p *Problem) where() string {
	if p.line > 0 {
		return p.origin.At(p.line)
	}
	return p.origin.AtField(p.path)
}

// Finding is the problem beside those of checks: what a check would say of it is not known.
func (p *Problem) Finding() Finding {
	return Finding{
		Finding: check.Finding{
			Check: check.Schema, Severity: check.Reject, Path: check.Path(p.path), Message: p.what,
			Fix: cmp.Or(p.fix, "correct it: nothing of this object is judged before"),
		},
		Source: Object{Origin: p.origin, Name: p.who},
		line:   p.line,
	}
}

func (d *Decoder) problem(from Origin, path, format string, args ...any) {
	d.Problems = append(d.Problems, &Problem{origin: from, path: path, what: fmt.Sprintf(format, args...)})
}

// Findings are what is wrong with the documents that cannot be read.
func (d *Decoder) Findings() []Finding {
	var findings []Finding
	for _, err := range d.Problems {
		var p *Problem
		if errors.As(err, &p) {
			findings = append(findings, p.Finding())
		}
	}
	return findings
}
