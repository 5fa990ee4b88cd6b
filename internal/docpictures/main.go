// Docpictures draws the flowcharts of docs/ for its site, each into a file of bin/site/pictures that is named by the hash of its
// text. It runs at the top of the repository.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/apptier/apptier/internal/cli/picture"
)

var flowchart = regexp.MustCompile("(?s)```mermaid\n(.*?)```")

const (
	docs = "docs"
	out  = "bin/site/pictures"
)

func main() {
	if err := draw(); err != nil {
		fmt.Fprintln(os.Stderr, "docpictures:", err)
		os.Exit(1)
	}
}

func draw() error {
	if err := os.MkdirAll(out, 0o750); err != nil {
		return err
	}
	return filepath.WalkDir(docs, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".md") {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a page of the documentation
		if err != nil {
			return err
		}
		for _, match := range flowchart.FindAllSubmatch(text, -1) {
			source := strings.TrimSpace(string(match[1]))
			name := filepath.Join(out, fmt.Sprintf("%x", sha256.Sum256([]byte(source))))
			if err := write(name+".svg", source); err != nil {
				return fmt.Errorf("drawing a picture of %s: %w", path, err)
			}
			// What goes from left to right goes from top to bottom in a narrow window.
			if rest, isWide := strings.CutPrefix(source, "flowchart LR\n"); isWide {
				if err := write(name+".narrow.svg", "flowchart TB\n"+rest); err != nil {
					return fmt.Errorf("drawing a narrow picture of %s: %w", path, err)
				}
			}
		}
		return nil
	})
}

func write(file, source string) error {
	var svg bytes.Buffer
	if err := picture.WriteFlowchart(&svg, source); err != nil {
		return err
	}
	return os.WriteFile(file, svg.Bytes(), 0o600) //nolint:gosec // named by a hash, in a folder of our own
}
