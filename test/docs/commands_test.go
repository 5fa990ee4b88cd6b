package docs

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli"
)

var update = flag.Bool("update", false, "write into pages what their commands print")

var (
	// saved is a sentence that says into which file what follows goes.
	saved = regexp.MustCompile("`([\\w./-]+\\.yaml)`:$")
	// elsewhere is a page of which the commands are for a cluster: the end-to-end tests and the demo run what they do.
	elsewhere = regexp.MustCompile(`(?m)^<!-- on a cluster -->$`)
)

// TestCommands does what pages tell their readers to: it saves manifests under the names that they are given, runs commands, and
// compares what they print, in the order of a page. A line of three dots stands for any others.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the plugin")
	}
	programs := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", programs+"/", "./cmd/kubectl-apptier")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// kubectl runs what is called kubectl-apptier, and nothing else here: there is no cluster.
	kubectl := "#!/bin/sh\n[ \"$1\" = apptier ] || exit 127\nshift\nexec kubectl-apptier \"$@\"\n"
	if err := os.WriteFile(filepath.Join(programs, "kubectl"), []byte(kubectl), 0o700); err != nil {
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
		r := reader{t, path, t.TempDir(), programs}
		for _, b := range p.blocks {
			if match := saved.FindStringSubmatch(b.before); match != nil && b.language == "yaml" {
				file := filepath.Join(r.folder, match[1])
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if b.language == "console" {
				shown, commands := r.console(b.text)
				text = bytes.Replace(text, []byte(b.text), []byte(shown), 1)
				ran += commands
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

// reader is who does what a page says, in a folder.
type reader struct {
	*testing.T
	page, folder, programs string
}

// console runs the commands of a block; it returns the block with what they print, and how many there are.
func (r reader) console(text string) (shown string, ran int) {
	var out strings.Builder
	for part := range strings.SplitSeq("\n"+text, "\n$ ") {
		line, want, _ := strings.Cut(strings.TrimSuffix(part, "\n"), "\n")
		if line == "" {
			continue
		}
		ran++
		got := r.run(line)
		if !like(lines(want), lines(got)) {
			if !*update {
				r.Errorf("%s: %s prints\n%s\nand not\n%s", r.page, line, got, want)
			}
			want = got
		}
		out.WriteString("$ " + line + "\n" + strings.Join(append(lines(want), ""), "\n"))
	}
	return out.String(), ran
}

func (r reader) run(line string) string {
	r.Helper()
	command := exec.CommandContext(r.Context(), "sh", "-c", line)
	command.Dir = r.folder
	command.Env = append(os.Environ(), "PATH="+r.programs+":"+os.Getenv("PATH"), "KUBECONFIG="+filepath.Join(r.folder, "none"))
	out, err := command.CombinedOutput()
	if code := command.ProcessState.ExitCode(); code > 3 || code == 2 { // no answer
		r.Errorf("%s: %s: %v\n%s", r.page, line, err, out)
	}
	return string(out)
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
			if b.language != "sh" && b.language != "console" && b.language != "text" {
				continue
			}
			for line := range strings.Lines(b.text) {
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
