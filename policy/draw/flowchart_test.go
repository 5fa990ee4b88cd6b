package draw_test

import (
	"strings"
	"testing"

	"github.com/apptier/apptier/policy/draw"
)

// Whatever names hold, they are text of the picture and none of its language.
func TestNamesAreNoLanguage(t *testing.T) {
	nodes := []draw.Node{
		{Key: "a", Namespace: `shop"]`, Label: "web\"; x -> y [label=\"\\"},
		{Key: "b", Label: "<script>alert(1)</script>\n-->"},
	}
	edges := []draw.Edge{{From: "a", To: "b", Label: `TCP "80"`}, {From: "a", To: "gone", Label: "nowhere"}}
	chart := draw.Flowchart(nodes, edges)
	for _, never := range []string{"<script>", `shop"]`, "gone", "nowhere"} {
		if strings.Contains(chart, never) {
			t.Errorf("the flowchart holds %s:\n%s", never, chart)
		}
	}
	if want := `b1 -->|"TCP #quot;80#quot;"| b2`; !strings.Contains(chart, want) {
		t.Errorf("the flowchart has no %s:\n%s", want, chart)
	}
	dot := draw.Dot(nodes, edges[:1])
	for _, want := range []string{`label="namespace shop\"]"`, `n1 [label="web\"; x -> y [label=\"\\"]`, `n2 [label="<script>alert(1)</script> -->", shape=oval]`, `n1 -> n2 [label="TCP \"80\""]`} {
		if !strings.Contains(dot, want) {
			t.Errorf("graphviz is not given %s:\n%s", want, dot)
		}
	}
}
