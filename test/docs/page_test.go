// Package docs holds the documentation to itself and to the code: its links lead somewhere, its decisions have numbers and
// are in their index, its picture shows every package, and its glossary explains words that are there.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extensionast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/apptier/apptier/test/reader"
)

const root = "../.."

// page is a Markdown file.
type page struct {
	path  string
	links []string
	// anchors are what links to headings name, as GitHub makes them.
	anchors map[string]bool
	rows    [][]string
	// code is what is set as code inside of sentences.
	code []string
	// blocks are those of code, in their order.
	blocks []reader.Block
}

// pages are those at the top of the repository and in docs/, by their paths.
func pages(t *testing.T) map[string]page {
	t.Helper()
	found := map[string]page{}
	top, err := filepath.Glob(root + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root+"/docs", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			top = append(top, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range top {
		path = filepath.Clean(path)
		found[path] = read(t, path)
	}
	if len(found) < 20 {
		t.Fatalf("only %d pages", len(found))
	}
	return found
}

func read(t *testing.T, path string) page {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := page{path: path, anchors: map[string]bool{}, blocks: reader.Blocks(source)}
	parser := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser()
	err = ast.Walk(parser.Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			p.add(n, source)
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *page) add(n ast.Node, source []byte) {
	switch n := n.(type) {
	case *ast.Link:
		p.links = append(p.links, string(n.Destination))
	case *ast.CodeSpan:
		p.code = append(p.code, words(n, source))
	case *ast.Image:
		p.links = append(p.links, string(n.Destination))
	case *ast.Heading:
		first := anchor(words(n, source))
		name := first
		for again := 1; p.anchors[name]; again++ {
			name = first + "-" + strconv.Itoa(again)
		}
		p.anchors[name] = true
	case *extensionast.TableRow:
		var row []string
		for cell := n.FirstChild(); cell != nil; cell = cell.NextSibling() {
			row = append(row, words(cell, source))
		}
		p.rows = append(p.rows, row)
	}
}

// anchor is what GitHub makes of a heading, as its documentation says under "Section links" of the basic syntax.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		default:
			return -1
		}
	}, heading)
}

// words are what a node shows.
func words(n ast.Node, source []byte) string {
	var out strings.Builder
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if leaf, ok := child.(*ast.Text); ok {
			out.Write(leaf.Segment.Value(source))
		} else {
			out.WriteString(words(child, source))
		}
	}
	return out.String()
}
