package docs

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli"
	"github.com/apptier/apptier/test/reader"
)

var update = flag.Bool("update", false, "write into pages what their commands print")

// elsewhere is a page of which the commands are for a cluster: the end-to-end tests run them.
var elsewhere = regexp.MustCompile(`(?m)^<!-- on a cluster -->$`)

// TestCommands does what pages tell their readers to: it saves manifests under the names that they are given, runs commands, and
// compares what they print, in the order of a page. A line of three dots stands for any others.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the plugin")
	}
	programs := t.TempDir()
	if err := errors.Join(reader.Install(t.Context(), root, programs), reader.WithoutCluster(programs)); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for path, p := range pages(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if elsewhere.Match(text) || filepath.Dir(path) == filepath.Clean(root) {
			continue // the README's are run by a test of its own
		}
		r := reader.Reader{Folder: t.TempDir(), Programs: programs}
		for _, b := range p.blocks {
			if b.File() != "" {
				if err := r.Save(b); err != nil {
					t.Fatal(err)
				}
			}
			if commands := b.Commands(); len(commands) > 0 {
				ran += len(commands)
				text = bytes.Replace(text, []byte(b.Text), []byte(compare(t, path, r, commands)), 1)
			}
		}
		if *update {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands", ran)
	}
}

// compare runs commands, and returns them with what they print, as their page has them.
func compare(t *testing.T, page string, r reader.Reader, commands []reader.Command) string {
	t.Helper()
	var shown strings.Builder
	for _, c := range commands {
		got, err := r.Run(t.Context(), c.Line)
		if err != nil {
			t.Errorf("%s: %v", page, err)
		}
		want := c.Shown
		if !like(lines(want), lines(got)) {
			if !*update {
				t.Errorf("%s: %s prints\n%s\nand not\n%s", page, c.Line, got, want)
			}
			want = got
		}
		shown.WriteString("$ " + c.Line + "\n" + strings.Join(append(lines(want), ""), "\n"))
	}
	return shown.String()
}

// lines are those of a text, without what nobody sees at their ends.
func lines(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		found = append(found, strings.TrimRight(line, " \n"))
	}
	return found
}

// like tells whether an output is as a page shows it, but for what the page leaves out.
func like(want, got []string) bool {
	switch {
	case len(want) == 0:
		return len(got) == 0
	case strings.TrimSpace(want[0]) == "...":
		return like(want[1:], got) || len(got) > 0 && like(want, got[1:])
	default:
		return len(got) > 0 && want[0] == got[0] && like(want[1:], got[1:])
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"a\nb", "a\nb", true}, {"a\nb", "a\nc\nb", false}, {"a\n...\nb", "a\nc\nd\nb", true}, {"...\nb", "a\nb", true},
		{"a\n...", "a\nb\nc", true}, {"a\n...", "b\na", false}, {"a", "", false},
	} {
		if like(strings.Split(c.want, "\n"), strings.Split(c.got, "\n")) != c.ok {
			t.Errorf("%q and %q: %t", c.want, c.got, !c.ok)
		}
	}
}

// Commands of the plugin that are shown anywhere are there, with their flags.
func TestCommandsExist(t *testing.T) {
	checked := 0
	for path, p := range pages(t) {
		for _, b := range p.blocks {
			if b.Language != "sh" && b.Language != "console" && b.Language != "text" {
				continue
			}
			for line := range strings.Lines(b.Text) {
				line, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "$ "), " #")
				rest, isPlugin := strings.CutPrefix(line, "kubectl apptier ")
				if !isPlugin || strings.ContainsAny(rest, "'\"\\$[<") {
					continue
				}
				checked++
				rest, _, _ = strings.Cut(rest, " |")
				rest, _, _ = strings.Cut(rest, " >")
				if wrong := understood(strings.Fields(rest)); wrong != "" {
					t.Errorf("%s: kubectl apptier %s: %s", path, rest, wrong)
				}
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d commands", checked)
	}
}

// understood says what the plugin does not understand of a command.
func understood(args []string) (wrong string) {
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	command, rest, err := cli.NewCommand(streams).Find(args)
	if err != nil {
		return err.Error()
	}
	if !command.HasParent() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return "no such command"
	}
	if err := command.ParseFlags(rest); err != nil {
		return err.Error()
	}
	if err := command.ValidateArgs(command.Flags().Args()); err != nil {
		return err.Error()
	}
	return ""
}
