// Package reader does what a page of the documentation tells its readers to: it saves manifests under the names that they are given,
// and runs commands, in a folder of its own and without a cluster.
package reader

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// Block is code that stands by itself on a page.
type Block struct {
	Language, Text string
	// Heading is what the section is called that it is in, and Before the paragraph right before it.
	Heading, Before string
}

// Blocks are those of a page, in their order.
func Blocks(source []byte) []Block {
	var found []Block
	heading := ""
	page := goldmark.New().Parser().Parse(text.NewReader(source))
	// The walker returns no error.
	_ = ast.Walk(page, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Heading:
			heading = strings.TrimSpace(string(n.Lines().Value(source)))
		case *ast.FencedCodeBlock:
			if !entering {
				break
			}
			b := Block{Language: string(n.Language(source)), Text: string(n.Lines().Value(source)), Heading: heading}
			if before := n.PreviousSibling(); before != nil && before.Kind() == ast.KindParagraph {
				b.Before = strings.TrimSpace(string(before.Lines().Value(source)))
			}
			found = append(found, b)
		}
		return ast.WalkContinue, nil
	})
	return found
}

// saved is a sentence that says into which file what follows goes.
var saved = regexp.MustCompile("`([\\w./-]+\\.yaml)`:$")

// File is the name that a manifest is to be saved under, if its page says one.
func (b Block) File() string {
	if match := saved.FindStringSubmatch(b.Before); match != nil && b.Language == "yaml" {
		return match[1]
	}
	return ""
}

// Command is a line of a console, and what is shown below it.
type Command struct{ Line, Shown string }

// Commands are those of a block that shows a console.
func (b Block) Commands() []Command {
	var found []Command
	if b.Language != "console" {
		return nil
	}
	for part := range strings.SplitSeq("\n"+b.Text, "\n$ ") {
		if line, shown, _ := strings.Cut(strings.TrimSuffix(part, "\n"), "\n"); line != "" {
			found = append(found, Command{line, shown})
		}
	}
	return found
}

// Reader has a folder to save in, and programs in another one.
type Reader struct {
	Folder, Programs string
	// Kubeconfig is empty for a reader without a cluster.
	Kubeconfig string
}

// Install builds the plugin of a repository into a folder of programs.
func Install(ctx context.Context, root, programs string) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", programs+"/", "./cmd/kubectl-apptier")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the plugin: %w\n%s", err, out)
	}
	return nil
}

// WithoutCluster puts a kubectl there that runs what is called kubectl-apptier, and nothing else.
func WithoutCluster(programs string) error {
	kubectl := "#!/bin/sh\n[ \"$1\" = apptier ] || exit 127\nshift\nexec kubectl-apptier \"$@\"\n"
	return os.WriteFile(filepath.Join(programs, "kubectl"), []byte(kubectl), 0o700)
}

// Save saves a block under its name.
func (r Reader) Save(b Block) error {
	file := filepath.Join(r.Folder, b.File())
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(b.Text), 0o600)
}

// Run runs a line, and returns what it prints. That the answer is no is no error.
func (r Reader) Run(ctx context.Context, line string) (string, error) {
	command := exec.CommandContext(ctx, "sh", "-c", line)
	command.Dir = r.Folder
	command.Env = append(os.Environ(), "PATH="+r.Programs+":"+os.Getenv("PATH"), "KUBECONFIG="+cmp.Or(r.Kubeconfig, filepath.Join(r.Folder, "none")))
	out, err := command.CombinedOutput()
	if code := command.ProcessState.ExitCode(); code == 1 || code == 3 {
		err = nil
	}
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s", line, err, out)
	}
	return string(out), nil
}
