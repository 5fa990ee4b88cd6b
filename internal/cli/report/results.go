package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Outcome is what became of a case of a test.
type Outcome string

// Outcomes. Unknown is where nobody can say whether the case holds.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Unknown Outcome = "unknown"
)

// Result is a case of a test, and what became of it.
type Result struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// File and Line are where the case is written.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Messages say what is not as expected, each with why; at most MostMessages.
	Messages []Message `json:"messages"`
	// More is how many connections more are like that.
	More int `json:"more,omitempty"`
	// Connections is how many were looked at.
	Connections int `json:"connections"`
	// NotTried is how many could not be tried with packets.
	NotTried int `json:"notTried,omitempty"`
}

// Worsen makes the outcome of one connection that of the case, unless others are worse.
func (r *Result) Worsen(by Outcome) {
	rank := map[Outcome]int{Passed: 0, Unknown: 1, Failed: 2}
	if rank[by] > rank[r.Outcome] {
		r.Outcome = by
	}
}

// MostMessages bounds the messages of a case.
const MostMessages = 5

// Message is a connection that is not as expected.
type Message struct {
	// What is the connection and its verdict, and Why the reasons of both halves.
	What string   `json:"what"`
	Why  []string `json:"why"`
	// File and Line are where the rule that decides is written; empty where it is in no file.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

func (r Result) text() string {
	var b strings.Builder
	for _, m := range r.Messages {
		b.WriteString(m.What + "\n")
		for _, why := range m.Why {
			b.WriteString("  " + why + "\n")
		}
		if m.Line > 0 {
			fmt.Fprintf(&b, "  decided at %s:%d\n", m.File, m.Line)
		}
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "and %d connections more\n", r.More)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func indent(text, by string) string { return by + strings.ReplaceAll(text, "\n", "\n"+by) + "\n" }

// CountResults returns how many cases failed, and of how many nobody can say.
func CountResults(results []Result) (failed, unknown int) {
	for _, r := range results {
		switch r.Outcome {
		case Failed:
			failed++
		case Unknown:
			unknown++
		case Passed:
		}
	}
	return failed, unknown
}

// WriteResults writes results for people.
func WriteResults(out io.Writer, results []Result) error {
	words := map[Outcome]string{Passed: "ok", Failed: "FAIL", Unknown: "?"}
	for _, r := range results {
		fmt.Fprintf(out, "%-5s%s\n", words[r.Outcome], r.Name)
		if text := r.text(); text != "" {
			fmt.Fprint(out, indent(text, "     "))
		}
	}
	failed, unknown := CountResults(results)
	_, err := fmt.Fprintf(out, "%d cases: %d passed, %d failed, %d unknown\n", len(results), len(results)-failed-unknown, failed, unknown)
	return err
}

// WriteResultsJSON writes results for programs.
func WriteResultsJSON(out io.Writer, results []Result) error {
	failed, unknown := CountResults(results)
	return WriteJSON(out, map[string]any{"passed": len(results) - failed - unknown, "failed": failed, "unknown": unknown, "cases": results})
}

// WriteTAP writes results as the Test Anything Protocol, version 13 (https://testanything.org/tap-version-13-specification.html).
// What nobody can say is not ok.
func WriteTAP(out io.Writer, results []Result) error {
	fmt.Fprintf(out, "TAP version 13\n1..%d\n", len(results))
	for i, r := range results {
		ok := "ok"
		if r.Outcome != Passed {
			ok = "not ok"
		}
		fmt.Fprintf(out, "%s %d - %s\n", ok, i+1, strings.ReplaceAll(r.Name, "#", `\#`))
		if text := r.text(); text != "" {
			fmt.Fprint(out, indent(text, "# "))
		}
	}
	return nil
}

type junitSuites struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suite   junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitMessage `xml:"failure"`
	Error   *junitMessage `xml:"error"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes results as JUnit's XML, which most CI systems show. What nobody can say is an error.
func WriteJUnit(out io.Writer, results []Result) error {
	failed, unknown := CountResults(results)
	suite := junitSuite{Name: "apptier", Tests: len(results), Failures: failed, Errors: unknown}
	for _, r := range results {
		c := junitCase{Name: r.Name, Class: "apptier", File: r.File, Line: r.Line}
		message := &junitMessage{Text: r.text()}
		if len(r.Messages) > 0 {
			message.Message = r.Messages[0].What
		}
		switch r.Outcome {
		case Failed:
			c.Failure = message
		case Unknown:
			c.Error = message
		case Passed:
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(out)
	encoder.Indent("", "  ")
	if err := encoder.Encode(junitSuites{Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(out, "\n")
	return err
}

// WriteResultsGitHub writes what did not pass as annotations of GitHub's workflows, at the rule that decides where that
// is written in a file, and else at the case.
func WriteResultsGitHub(out io.Writer, results []Result) error {
	for _, r := range results {
		if r.Outcome == Passed {
			continue
		}
		file, line := r.File, r.Line
		if len(r.Messages) > 0 && r.Messages[0].Line > 0 {
			file, line = r.Messages[0].File, r.Messages[0].Line
		}
		if _, err := fmt.Fprintln(out, workflowCommand("error", file, line, 0, r.Name, r.text())); err != nil {
			return err
		}
	}
	return nil
}
