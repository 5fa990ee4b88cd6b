package report

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/version"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
)

// WriteGitHub writes findings as workflow commands, which GitHub shows beside the lines of a pull
// request (https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands).
func WriteGitHub(out io.Writer, findings []manifest.Finding) error {
	for _, f := range findings {
		line, column := f.Position()
		text := f.Sentence() + "\nfix: " + f.Fix
		if _, err := fmt.Fprintln(out, workflowCommand(commands[f.Severity], f.File(), line, column, string(f.Check), text)); err != nil {
			return err
		}
	}
	return nil
}

// workflowCommand is a command that shows a text beside a line of a file; of what is in no file, without one. The
// line and the column are left out where they are 0.
func workflowCommand(command, file string, line, column int, title, text string) string {
	message := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	place := ""
	if uri := inRepository(file); uri != "" {
		place = "file=" + property.Replace(uri) + ","
		if line > 0 {
			place += fmt.Sprintf("line=%d,", line)
		}
		if line > 0 && column > 0 {
			place += fmt.Sprintf("col=%d,", column)
		}
	}
	return fmt.Sprintf("::%s %stitle=%s::%s", command, place, property.Replace(title), message.Replace(text))
}

// commands are GitHub's words for severities.
var commands = map[check.Severity]string{check.Reject: "error", check.Warn: "warning", check.Note: "notice"}

// uriOf is the file of a finding as a repository knows it: relative to where the program runs, if it is below
// that. Standard input, and what a cluster holds, are no files of a repository.
func uriOf(f manifest.Finding) string { return inRepository(f.File()) }

func inRepository(file string) string {
	if file == "" || file == manifest.StdinName {
		return ""
	}
	if here, err := os.Getwd(); err == nil && filepath.IsAbs(file) {
		if relative, err := filepath.Rel(here, file); err == nil && filepath.IsLocal(relative) {
			file = relative
		}
	}
	return filepath.ToSlash(filepath.Clean(file))
}

// What is written of SARIF 2.1.0, the format of code scanners
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		URI     string      `json:"informationUri"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string          `json:"id"`
		Name    string          `json:"name"`
		Short   sarifText       `json:"shortDescription"`
		Full    sarifText       `json:"fullDescription"`
		HelpURI string          `json:"helpUri"`
		Default sarifDefault    `json:"defaultConfiguration"`
		More    sarifProperties `json:"properties"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifProperties struct {
		Tags []string `json:"tags"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		Rule      string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
)

// home is where people find the project, and checksPage what they can look up about a check.
const (
	home       = "https://github.com/apptier/apptier"
	checksPage = home + "/blob/main/docs/checks.md"
)

// WriteSARIF writes findings for code scanners.
func WriteSARIF(out io.Writer, findings []manifest.Finding) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{"apptier", version.String(), home, []sarifRule{}}}, Results: []sarifResult{}}
	index := map[check.ID]int{}
	for _, entry := range lint.Catalogue() {
		isFound := func(f manifest.Finding) bool { return f.Check == entry.ID }
		if !slices.ContainsFunc(findings, isFound) {
			continue
		}
		index[entry.ID] = len(run.Tool.Driver.Rules)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: string(entry.ID), Name: string(entry.ID), Short: sarifText{entry.Title}, Full: sarifText{strings.ReplaceAll(entry.Text, "\n", " ")},
			HelpURI: checksPage + "#" + string(entry.ID), Default: sarifDefault{string(entry.Severity)},
			More: sarifProperties{strings.Split(string(entry.About), ", ")},
		})
	}
	for _, f := range findings {
		run.Results = append(run.Results, sarifResult{
			Rule: string(f.Check), RuleIndex: index[f.Check], Level: string(f.Severity), Message: sarifText{f.Message + ". Fix: " + f.Fix},
			Locations: []sarifLocation{{Physical: sarifPlace(f), Logical: []sarifLogical{{strings.Trim(f.Source.Name+": "+string(f.Path), ": ")}}}},
		})
	}
	return WriteJSON(out, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// sarifPlace is the file and line of a finding; nil for what is in no file.
func sarifPlace(f manifest.Finding) *sarifPhysical {
	uri := uriOf(f)
	if uri == "" {
		return nil
	}
	place := &sarifPhysical{Artifact: sarifArtifact{URI: (&url.URL{Path: uri}).String()}}
	if filepath.IsLocal(uri) {
		place.Artifact.Base = "%SRCROOT%"
	} else if filepath.IsAbs(uri) {
		place.Artifact.URI = (&url.URL{Scheme: "file", Path: uri}).String()
	}
	if line, column := f.Position(); line > 0 {
		place.Region = &sarifRegion{line, column}
	}
	return place
}
