package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
)

// appTier is an AppTier of the input.
type appTier struct {
	*v1alpha1.AppTier
	source object
}

// readAppTiers returns the AppTiers of the input, in its order, at least one, and its objects of
// more kinds.
func readAppTiers(stdin io.Reader, messages io.Writer, in *input, namespace string, more ...kinds) ([]appTier, []object, error) {
	documents, err := in.read(stdin)
	if err != nil {
		return nil, nil, err
	}
	d := newDecoder(namespace, more...)
	if err := d.decode(documents); err != nil {
		return nil, nil, err
	}
	writeFindings(messages, d.leftOut)
	apps := appTiers(d.objects)
	if len(apps) == 0 {
		return nil, nil, d.nothingFound()
	}
	return apps, d.objects, nil
}

func appTiers(objects []object) []appTier {
	var apps []appTier
	for _, o := range objects {
		if app, ok := o.Object.(*v1alpha1.AppTier); ok {
			apps = append(apps, appTier{AppTier: app, source: o})
		}
	}
	return apps
}

// finding is what a check found in an object of the input.
type finding struct {
	lint.Finding
	source object
	// line of the file, where it is not that of the path.
	line int
}

// position is the line and the column of a finding in its file, both from 1; 0 for what is not known.
func (f finding) position() (line, column int) {
	if f.line > 0 {
		return f.line, 1
	}
	return f.source.origin.positionOf(string(f.Path))
}

// file is where the object of a finding was read; empty for what a cluster holds.
func (f finding) file() string {
	if f.source.isLive() {
		return ""
	}
	if from := f.source.origin.document.from; from != nil {
		return from.document.file
	}
	return f.source.origin.document.file
}

// check runs every check on every AppTier, by itself and beside the others of its namespace that came
// before it.
func check(apps []appTier) []finding {
	specs := specsOf(apps)
	var findings []finding
	for _, app := range apps {
		for _, f := range append(lint.AppTier(app.AppTier), lint.Conflicts(app.AppTier, specs)...) {
			findings = append(findings, finding{Finding: f, source: app.source})
		}
	}
	return findings
}

func specsOf(apps []appTier) []*v1alpha1.AppTier {
	specs := make([]*v1alpha1.AppTier, len(apps))
	for i, app := range apps {
		specs[i] = app.AppTier
	}
	return specs
}

// count returns how many findings have a severity.
func count(findings []finding, severity lint.Severity) int {
	n := 0
	for _, f := range findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

// sentence says what is found in which field of which object, as far as these are known.
func (f finding) sentence() string {
	words := slices.DeleteFunc([]string{f.source.name, string(f.Path), f.Message}, func(word string) bool { return word == "" })
	return strings.Join(words, ": ")
}

// inOrder sorts findings as a reader of the files meets them: by file, in the order of the input, and by
// line.
func inOrder(findings []finding) {
	files := map[string]int{}
	for _, f := range findings {
		if _, found := files[f.file()]; !found {
			files[f.file()] = len(files)
		}
	}
	slices.SortStableFunc(findings, func(a, b finding) int {
		lineOfA, columnOfA := a.position()
		lineOfB, columnOfB := b.position()
		return cmp.Or(cmp.Compare(files[a.file()], files[b.file()]), cmp.Compare(lineOfA, lineOfB), cmp.Compare(columnOfA, columnOfB))
	})
}

// writeFindings writes findings for people: where, what and why, and what to write instead.
func writeFindings(out io.Writer, findings []finding) {
	for _, f := range findings {
		line, _ := f.position()
		fmt.Fprintf(out, "%s: %s: %s (%s)\n", f.source.origin.at(line), f.Severity, f.sentence(), f.Check)
		if f.Fix != "" {
			fmt.Fprintf(out, "    fix: %s\n", f.Fix)
		}
	}
}

// writeFindingsJSON writes findings for programs. Without any, the list is empty and there.
func writeFindingsJSON(out io.Writer, findings []finding) error {
	type entry struct {
		Check    lint.ID       `json:"check"`
		Severity lint.Severity `json:"severity"`
		// File, line and column, from 1, are left out where they are not known.
		File    string `json:"file,omitempty"`
		Line    int    `json:"line,omitempty"`
		Column  int    `json:"column,omitempty"`
		Object  string `json:"object"`
		Path    string `json:"path"`
		Message string `json:"message"`
		Fix     string `json:"fix"`
	}
	entries := make([]entry, 0, len(findings))
	for _, f := range findings {
		line, column := f.position()
		entries = append(entries, entry{f.Check, f.Severity, f.file(), line, column, f.source.name, string(f.Path), f.Message, f.Fix})
	}
	return writeJSON(out, map[string]any{"findings": entries})
}
