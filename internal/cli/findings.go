package cli

import (
	"encoding/json"
	"fmt"
	"io"

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
func readAppTiers(stdin io.Reader, in *input, namespace string, more ...kinds) ([]appTier, []object, error) {
	documents, err := in.read(stdin)
	if err != nil {
		return nil, nil, err
	}
	d := newDecoder(namespace, more...)
	if err := d.decode(documents); err != nil {
		return nil, nil, err
	}
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

// writeFindings writes findings for people: where, what and why, and what to write instead.
func writeFindings(out io.Writer, findings []finding) {
	for _, f := range findings {
		fmt.Fprintf(out, "%s: %s: %s: ", f.source.origin.atField(f.Path), severityWord(f.Severity), f.source.name)
		if f.Path != "" {
			fmt.Fprintf(out, "%s: ", f.Path)
		}
		fmt.Fprintf(out, "%s (%s)\n", f.Message, f.Check)
		if f.Fix != "" {
			fmt.Fprintf(out, "    fix: %s\n", f.Fix)
		}
	}
}

func severityWord(severity lint.Severity) string {
	if severity == lint.Reject {
		return "error"
	}
	return "warning"
}

// writeFindingsJSON writes findings for programs. Without any, the list is empty and there.
func writeFindingsJSON(out io.Writer, findings []finding) error {
	type entry struct {
		Check    lint.Check    `json:"check"`
		Severity lint.Severity `json:"severity"`
		Object   string        `json:"object"`
		Path     string        `json:"path"`
		Message  string        `json:"message"`
		Fix      string        `json:"fix"`
	}
	entries := make([]entry, 0, len(findings))
	for _, f := range findings {
		entries = append(entries, entry{f.Check, f.Severity, f.source.name, f.Path, f.Message, f.Fix})
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(map[string]any{"findings": entries})
}
