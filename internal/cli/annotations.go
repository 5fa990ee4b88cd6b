package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apptier/apptier/policy/lint"
)

// writeGitHub writes findings as workflow commands, which GitHub shows beside the lines of a pull
// request (https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands).
func writeGitHub(out io.Writer, findings []finding) error {
	message := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, f := range findings {
		place := ""
		if !f.source.isLive() { // a cluster is no file of the repository
			place = "file=" + property.Replace(f.source.origin.document.file) + ","
		}
		if n := f.source.origin.lineOf(f.Path); n > 0 {
			place += fmt.Sprintf("line=%d,", n)
		}
		text := fmt.Sprintf("%s: %s: %s\nfix: %s", f.source.name, f.Path, f.Message, f.Fix)
		_, err := fmt.Fprintf(out, "::%s %stitle=%s::%s\n", severityWord(f.Severity), place, property.Replace(string(f.Check)), message.Replace(text))
		if err != nil {
			return err
		}
	}
	return nil
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
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string    `json:"id"`
		Short sarifText `json:"shortDescription"`
		Full  sarifText `json:"fullDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		Rule      string          `json:"ruleId"`
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
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
)

// writeSARIF writes findings for code scanners.
func writeSARIF(out io.Writer, findings []finding) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "apptier", Rules: []sarifRule{}}}, Results: []sarifResult{}}
	for _, entry := range lint.Catalogue() {
		isFound := func(f finding) bool { return f.Check == entry.ID }
		if !slices.ContainsFunc(findings, isFound) {
			continue
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: string(entry.ID), Short: sarifText{entry.Title}, Full: sarifText{strings.ReplaceAll(entry.Text, "\n", " ")},
		})
	}
	for _, f := range findings {
		run.Results = append(run.Results, sarifResult{
			Rule: string(f.Check), Level: severityWord(f.Severity), Message: sarifText{f.Message + ". Fix: " + f.Fix},
			Locations: []sarifLocation{{Physical: sarifPlace(f), Logical: []sarifLogical{{f.source.name + ": " + f.Path}}}},
		})
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// sarifPlace is the file and line of a finding; nil for what a cluster holds.
func sarifPlace(f finding) *sarifPhysical {
	if f.source.isLive() {
		return nil
	}
	place := &sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: filepath.ToSlash(f.source.origin.document.file)}).String()}}
	if line := f.source.origin.lineOf(f.Path); line > 0 {
		place.Region = &sarifRegion{line}
	}
	return place
}
