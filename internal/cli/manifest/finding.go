package manifest

import (
	"slices"
	"strings"

	"github.com/apptier/apptier/policy/lint/check"
)

// Finding is what a check found in an object of the input.
type Finding struct {
	check.Finding
	Source Object
	// line of the file, where it is not that of the path.
	line int
}

// Position is the line and the column of a finding in its file, both from 1; 0 for what is not known.
func (f Finding) Position() (line, column int) {
	if f.line > 0 {
		return f.line, 1
	}
	return f.Source.Origin.positionOf(string(f.Path))
}

// File is where the object of a finding was read; empty for what a cluster holds.
func (f Finding) File() string {
	if f.Source.IsLive() {
		return ""
	}
	if from := f.Source.Origin.Document.From; from != nil {
		return from.Document.File
	}
	return f.Source.Origin.Document.File
}

// Count returns how many findings have a severity.
func Count(findings []Finding, severity check.Severity) int {
	n := 0
	for _, f := range findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

// Sentence says what is found in which field of which object, as far as these are known.
func (f Finding) Sentence() string {
	words := slices.DeleteFunc([]string{f.Source.Name, string(f.Path), f.Message}, func(word string) bool { return word == "" })
	return strings.Join(words, ": ")
}
