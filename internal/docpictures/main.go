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
			var svg bytes.Buffer
			if err := picture.WriteFlowchart(&svg, source); err != nil {
				return fmt.Errorf("drawing a picture of %s: %w", path, err)
			}
			name := fmt.Sprintf("%x.svg", sha256.Sum256([]byte(source)))
			if err := os.WriteFile(filepath.Join(out, name), svg.Bytes(), 0o600); err != nil {
				return err
			}
		}
		return nil
	})
}
