package picture_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/apptier/apptier/internal/cli/picture"
)

func graph(name string) picture.Graph {
	return picture.Graph{
		Nodes: []picture.Node{
			{Name: name, Kind: "deployment", Namespace: name, Members: []string{"shop/" + name}, Open: "ingress"},
			{Name: "internet", Kind: "outside", Members: []string{"internet"}},
		},
		Links: []picture.Link{{From: 0, To: 1, Ports: []string{"TCP 443"}, Label: "443"}, {From: 0, To: 0, Ports: []string{"TCP 1"}, Label: "1"}},
		Notes: []string{name},
	}
}

// A text stays a text, whatever it holds, and a picture is XML.
func TestTextsAreHarmless(t *testing.T) {
	const bad = `</script><script>alert("1")</script>&'`
	for name, write := range map[string]func(io.Writer, picture.Graph) error{"svg": picture.WriteSVG, "html": picture.WriteHTML} {
		var out strings.Builder
		if err := write(&out, graph(bad)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "<script>alert") || strings.Contains(out.String(), `alert("1")`) {
			t.Errorf("%s: a name became markup:\n%s", name, out.String())
		}
	}
	var out strings.Builder
	if err := picture.WriteSVG(&out, graph(bad)); err != nil {
		t.Fatal(err)
	}
	for decoder := xml.NewDecoder(strings.NewReader(out.String())); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, out.String())
		}
	}
}

// A file asks nothing of a network: what names an address is a namespace of XML.
func TestFilesStandAlone(t *testing.T) {
	address := regexp.MustCompile(`(https?:)?//[a-z]+\.[a-z0-9./-]+|\b(src|href)="[^"#d]`)
	for name, write := range map[string]func(io.Writer, picture.Graph) error{"svg": picture.WriteSVG, "html": picture.WriteHTML} {
		var out strings.Builder
		if err := write(&out, graph("web")); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(out.String(), "http://www.w3.org/2000/svg", "")
		if found := address.FindAllString(text, -1); found != nil {
			t.Errorf("%s asks for %q", name, found)
		}
	}
}

// The same graph is the same file, and nobody is a graph too.
func TestFilesDependOnTheGraphAlone(t *testing.T) {
	g := picture.Graph{Nodes: []picture.Node{}, Links: []picture.Link{}}
	for i := range 40 {
		g.Nodes = append(g.Nodes, picture.Node{Name: fmt.Sprint("node ", i), Namespace: fmt.Sprint(i % 5)})
		g.Links = append(g.Links, picture.Link{From: i, To: i * 7 % 40, Label: "80"})
	}
	for _, g := range []picture.Graph{g, {}} {
		var first, second strings.Builder
		if err := errors.Join(picture.WriteHTML(&first, g), picture.WriteHTML(&second, g)); err != nil || first.String() != second.String() {
			t.Errorf("two pages of %d nodes differ: %v", len(g.Nodes), err)
		}
	}
}
