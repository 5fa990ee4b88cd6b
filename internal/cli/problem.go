package cli

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/apptier/apptier/policy/lint"
)

// problem is something that cannot be read: where, in which object if there is one, and what is wrong.
type problem struct {
	origin origin
	// path is of the field; empty for the object, or where line says more.
	path string
	// line of the file; 0 where path says it.
	line int
	who  string
	what string
	// fix is what to write instead; empty where what says enough.
	fix string
}

func (p *problem) Error() string {
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

func (p *problem) where() string {
	if p.line > 0 {
		return p.origin.at(p.line)
	}
	return p.origin.atField(p.path)
}

// finding is the problem beside those of checks: what a check would say of it is not known.
func (p *problem) finding() finding {
	return finding{
		Finding: lint.Finding{
			Check: lint.Schema, Severity: lint.Reject, Path: lint.Path(p.path), Message: p.what,
			Fix: cmp.Or(p.fix, "correct it: nothing of this object is judged before"),
		},
		source: object{origin: p.origin, name: p.who},
		line:   p.line,
	}
}

func (d *decoder) problem(from origin, path, format string, args ...any) {
	d.problems = append(d.problems, &problem{origin: from, path: path, what: fmt.Sprintf(format, args...)})
}

// findings are what is wrong with the documents that cannot be read.
func (d *decoder) findings() []finding {
	var findings []finding
	for _, err := range d.problems {
		var p *problem
		if errors.As(err, &p) {
			findings = append(findings, p.finding())
		}
	}
	return findings
}
