// Package readme holds the README to what it says: its commands exist, its AppTier is the sample,
// and its rejection is what people get.
package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
)

const root = "../.."

var block = regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```")

// blocks are the README's code blocks of a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range block.FindAllStringSubmatch(string(text), -1) {
		if match[1] == language {
			found = append(found, match[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return found
}

func parse(t *testing.T, text string) *v1alpha1.AppTier {
	t.Helper()
	var app v1alpha1.AppTier
	if err := yaml.UnmarshalStrict([]byte(text), &app); err != nil {
		t.Fatal(err)
	}
	return &app
}

// make's targets are looked at without running them, since some want hours, docker or a cluster of
// the reader's; the end-to-end tests and the demo run what they do. Everything else is run.
func TestCommands(t *testing.T) {
	for _, text := range blocks(t, "sh") {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			t.Run(line, func(t *testing.T) {
				command := exec.CommandContext(t.Context(), "sh", "-c", line)
				if rest, ok := strings.CutPrefix(line, "make "); ok {
					command = exec.CommandContext(t.Context(), "sh", "-c", "make -n "+rest)
				}
				command.Dir = root
				if out, err := command.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

func TestAppTierIsTheSample(t *testing.T) {
	sample, err := os.ReadFile(root + "/config/samples/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(parse(t, string(sample)), parse(t, blocks(t, "yaml")[0])); diff != "" {
		t.Errorf("the README's AppTier differs from config/samples/shop.yaml (-sample +README):\n%s", diff)
	}
}

func TestPoliciesAreTheSamples(t *testing.T) {
	console := blocks(t, "console")[0]
	for _, policy := range expand.NetworkPolicies(parse(t, blocks(t, "yaml")[0]), expand.DefaultEnvironment()) {
		if !strings.Contains(console, "\n"+policy.Name+" ") {
			t.Errorf("the README does not list %s", policy.Name)
		}
	}
}

// The README's rejection is what lint says when the api's peer is mistyped.
func TestRejection(t *testing.T) {
	app := parse(t, blocks(t, "yaml")[0])
	mistyped := "fronted"
	app.Spec.Tiers[1].Ingress[0].From[0].Tier = &mistyped
	findings := lint.AppTier(app)
	if len(findings) != 1 {
		t.Fatalf("findings: %v", findings)
	}
	for _, want := range []string{string(findings[0].Path) + ": " + findings[0].Message + " (" + string(findings[0].Check) + ")", "fix: " + findings[0].Fix} {
		if text := blocks(t, "text")[0]; !strings.Contains(text, want) {
			t.Errorf("the README does not say %q:\n%s", want, text)
		}
	}
}

// The README's explanation is what people get for the sample. It leaves a part out.
func TestExplanation(t *testing.T) {
	text := blocks(t, "text")[1]
	command, want, _ := strings.Cut(strings.TrimPrefix(text, "$ kubectl apptier "), "\n")
	run := exec.CommandContext(t.Context(), "go", append([]string{"run", "./cmd/kubectl-apptier"}, strings.Fields(command)...)...)
	run.Dir = root
	out, err := run.Output()
	if code := run.ProcessState.ExitCode(); code != 1 { // denied
		t.Fatalf("exits with %d: %v\n%s", code, err, out)
	}
	for part := range strings.SplitSeq(want, "...\n") {
		if !strings.Contains(string(out), part) {
			t.Errorf("the plugin does not say\n%s\nbut\n%s", part, out)
		}
	}
}

// The README's difference is what people get when the port of the sample's database changes on their branch.
func TestDifference(t *testing.T) {
	text := blocks(t, "text")[2]
	command, want, _ := strings.Cut(strings.TrimPrefix(text, "$ kubectl apptier "), "\n")
	repository, plugin := t.TempDir(), filepath.Join(t.TempDir(), "kubectl-apptier")
	run := func(directory, name string, args ...string) string {
		t.Helper()
		run := exec.CommandContext(t.Context(), name, args...)
		run.Dir = directory
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(repository, "manifests", "shop.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sample, err := os.ReadFile(root + "/config/samples/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(repository, "manifests"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(string(sample))
	run(repository, "git", "init", "-q", "-b", "main")
	run(repository, "git", "add", ".")
	run(repository, "git", "-c", "user.name=someone", "-c", "user.email=someone@example.com", "commit", "-qm", "The shop")
	write(strings.ReplaceAll(string(sample), "port: 5432", "port: 5433"))
	run(root, "go", "build", "-o", plugin, "./cmd/kubectl-apptier")
	if got := run(repository, plugin, strings.Fields(command)...); got != want {
		t.Errorf("the plugin says\n%s\nand the README\n%s", got, want)
	}
}
