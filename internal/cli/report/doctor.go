package report

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/apptier/apptier/internal/cli/doctor"
)

// DiagnosisWriter prints what doctor found.
type DiagnosisWriter func(io.Writer, doctor.Installed, []doctor.Finding) error

// statusWords are what people read, and the color of it on a terminal (SGR).
var statusWords = map[doctor.Status]struct {
	word  string
	color int
}{
	doctor.Pass: {"ok", 32}, doctor.Warn: {"warning", 33}, doctor.Fail: {"FAILED", 31}, doctor.Unknown: {"not judged", 36},
}

// WriteDiagnosis prints findings for people.
func WriteDiagnosis(out io.Writer, _ doctor.Installed, findings []doctor.Finding) error {
	colored := isColored(out)
	counts := map[doctor.Status]int{}
	var b strings.Builder
	for _, f := range findings {
		counts[f.Status]++
		s := statusWords[f.Status]
		word := fmt.Sprintf("%-11s", s.word)
		if colored {
			word = fmt.Sprintf("\x1b[%dm%s\x1b[0m", s.color, word)
		}
		text := f.Message
		if len(f.Objects) > 0 && f.Status != doctor.Pass {
			text = Few(f.Objects) + ": " + text
		}
		const indent = "\n           "
		fmt.Fprintf(&b, "%s%s: %s\n", word, f.Check, strings.ReplaceAll(text, "\n", indent+"  "))
		if f.Fix != "" {
			fmt.Fprintf(&b, "%s  what to do: %s\n", strings.TrimPrefix(indent, "\n"), f.Fix)
		}
	}
	fmt.Fprintf(&b, "\n%d ok, %d warnings, %d failed, %d not judged\n", counts[doctor.Pass], counts[doctor.Warn], counts[doctor.Fail],
		counts[doctor.Unknown])
	_, err := io.WriteString(out, b.String())
	return err
}

// isColored tells whether colors are wanted: https://no-color.org.
func isColored(out io.Writer) bool {
	file, isFile := out.(*os.File)
	return isFile && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// diagnosisJSON is what is printed for programs. Fields stay: the command's help names them.
type diagnosisJSON struct {
	Verdict  doctor.Status    `json:"verdict"`
	Versions doctor.Installed `json:"versions"`
	Findings []doctor.Finding `json:"findings"`
}

// WriteDiagnosisJSON prints findings for programs.
func WriteDiagnosisJSON(out io.Writer, installed doctor.Installed, findings []doctor.Finding) error {
	return WriteJSON(out, diagnosisJSON{doctor.Verdict(findings), installed, findings})
}
