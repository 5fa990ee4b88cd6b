package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/apptier/apptier/internal/cli/report"
)

var results = []report.Result{
	{Name: "holds", Outcome: report.Passed, File: "cases.yaml", Line: 5, Connections: 2},
	{Name: `does <not>, "50%"`, Outcome: report.Failed, File: "cases.yaml", Line: 6, More: 3, Connections: 9, Messages: []report.Message{
		{What: "allowed: a -> b, TCP 80", Why: []string{"egress", "ingress"}, File: "policy.yaml", Line: 7},
	}},
	{Name: "who knows", Outcome: report.Unknown, File: "cases.yaml", Line: 7, Messages: []report.Message{{What: "unknown: a -> c"}}},
}

// Every form says the same, and what reads it takes it.
func TestResults(t *testing.T) {
	write := func(f func(out *bytes.Buffer) error) string {
		var out bytes.Buffer
		if err := f(&out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	text := write(func(out *bytes.Buffer) error { return report.WriteResults(out, results) })
	for _, want := range []string{"ok   holds\n", "FAIL does", "     allowed: a -> b, TCP 80\n       egress\n", "decided at policy.yaml:7\n", "and 3 connections more", "?    who knows", "3 cases: 1 passed, 1 failed, 1 unknown\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text has no %q:\n%s", want, text)
		}
	}
	tap := write(func(out *bytes.Buffer) error { return report.WriteTAP(out, results) })
	if !strings.HasPrefix(tap, "TAP version 13\n1..3\nok 1 - holds\nnot ok 2 - ") || strings.Count(tap, "\nnot ok ") != 2 {
		t.Errorf("TAP:\n%s", tap)
	}
	var suites struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
			Cases    []struct {
				Name    string  `xml:"name,attr"`
				Failure *string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	junit := write(func(out *bytes.Buffer) error { return report.WriteJUnit(out, results) })
	if err := xml.Unmarshal([]byte(junit), &suites); err != nil || len(suites.Suites) != 1 {
		t.Fatalf("%v:\n%s", err, junit)
	}
	if s := suites.Suites[0]; s.Tests != 3 || s.Failures != 1 || s.Errors != 1 || s.Cases[1].Name != results[1].Name || s.Cases[1].Failure == nil || s.Cases[0].Failure != nil {
		t.Errorf("JUnit: %+v", s)
	}
	var read struct {
		Passed, Failed, Unknown int
		Cases                   []report.Result
	}
	if err := json.Unmarshal([]byte(write(func(out *bytes.Buffer) error { return report.WriteResultsJSON(out, results) })), &read); err != nil {
		t.Fatal(err)
	}
	if read.Passed != 1 || read.Failed != 1 || read.Unknown != 1 || read.Cases[1].Messages[0].Line != 7 {
		t.Errorf("JSON: %+v", read)
	}
	github := write(func(out *bytes.Buffer) error { return report.WriteResultsGitHub(out, results) })
	if lines := strings.Split(strings.TrimSpace(github), "\n"); len(lines) != 2 ||
		!strings.HasPrefix(lines[0], `::error file=policy.yaml,line=7,title=does <not>%2C "50%25"::allowed: a -> b, TCP 80%0A`) ||
		!strings.HasPrefix(lines[1], "::error file=cases.yaml,line=7,title=who knows::") {
		t.Errorf("GitHub:\n%s", github)
	}
}
