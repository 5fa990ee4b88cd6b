package picture

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var drawing = regexp.MustCompile("(?s)```mermaid\n(.*?)```")

// Every picture of the documentation can be drawn, with all of its nodes and arrows.
func TestPicturesOfTheDocumentation(t *testing.T) {
	files, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	drawn := 0
	for _, file := range append(files, "../../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range drawing.FindAllStringSubmatch(string(text), -1) {
			var svg strings.Builder
			if err := WriteFlowchart(&svg, match[1]); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			drawn++
			if got, want := strings.Count(svg.String(), `<g class="edge`), arrowsOf(match[1]); got != want {
				t.Errorf("%s: %d arrows, want %d, in\n%s", file, got, want, match[1])
			}
		}
	}
	if drawn < 20 {
		t.Errorf("only %d pictures", drawn)
	}
}

// arrowsOf counts arrows as they are written, each "&" as one more.
func arrowsOf(mermaid string) int {
	count := 0
	for line := range strings.Lines(mermaid) {
		if strings.Contains(line, " --> ") || strings.Contains(line, " -->|") || strings.Contains(line, " -.-") {
			count += 1 + strings.Count(line, " & ")
		}
	}
	return count
}

func TestFlowchart(t *testing.T) {
	chart, err := parseFlowchart("flowchart TB\n  subgraph x[\"a frame\"]\n    a[\"one<br/>more\"]\n  end\n  b([\"all\"])\n  a -->|\"80\"| b\n  c[A & B] -.-x b\n  b -.-> a & c\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []chartArrow{
		{from: "a", to: "b", label: "80"}, {from: "c", to: "b", dotted: true, crossed: true},
		{from: "b", to: "a", dotted: true}, {from: "b", to: "c", dotted: true},
	}
	if len(chart.arrows) != len(want) {
		t.Fatalf("arrows are %v", chart.arrows)
	}
	for i := range want {
		if chart.arrows[i] != want[i] {
			t.Errorf("arrow %d is %v, not %v", i, chart.arrows[i], want[i])
		}
	}
	if len(chart.nodes) != 3 || chart.nodes[0].frame != 1 || chart.nodes[1].frame != 0 || len(chart.nodes[0].lines) != 2 {
		t.Errorf("nodes are %v", chart.nodes)
	}
	for _, wrong := range []string{"", "sequenceDiagram", "flowchart LR\n  a --> b", "flowchart LR\n  style a fill:#fff"} {
		if _, err := parseFlowchart(wrong); err == nil {
			t.Errorf("%q is drawn", wrong)
		}
	}
}
