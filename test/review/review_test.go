// Package review holds what CI systems run to what they show: the scripts of the action, with a repository of their own,
// and the hooks of pre-commit.
package review

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = "../.."

// repository is one with a branch, and the plugin and a stand-in for gh in PATH.
type repository struct {
	*testing.T
	directory, programs string
}

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t, t.TempDir(), t.TempDir()}
	r.must(r.run(root, nil, "go", "build", "-o", r.programs+"/", "./cmd/kubectl-apptier"))
	// The program of GitHub needs GitHub: what it is asked for is written down.
	r.write(r.programs, "gh", "#!/bin/sh\necho \"$@\" >>\"$CALLS\"\n")
	if err := os.Chmod(filepath.Join(r.programs, "gh"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.must(r.run(r.directory, nil, "git", "init", "-q", "-b", "main"))
	return r
}

func (r repository) write(directory, name, text string) {
	r.Helper()
	path := filepath.Join(directory, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

func (r repository) commit() {
	r.Helper()
	r.must(r.run(r.directory, nil, "git", "add", "."))
	r.must(r.run(r.directory, nil, "git", "-c", "user.name=someone", "-c", "user.email=someone@example.com", "commit", "-qm", "A change"))
}

func (r repository) run(directory string, env []string, name string, args ...string) (string, int) {
	r.Helper()
	command := exec.CommandContext(r.Context(), name, args...)
	command.Dir = directory
	command.Env = append(os.Environ(), append(env, "PATH="+r.programs+":"+os.Getenv("PATH"))...)
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		r.Fatalf("%s: %v", name, err)
	}
	return string(out), command.ProcessState.ExitCode()
}

func (r repository) must(out string, code int) {
	r.Helper()
	if code != 0 {
		r.Fatalf("exits with %d: %s", code, out)
	}
}

func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "hack", "review", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	policy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}]
`
	cases = `apiVersion: test.apptier.dev/v1alpha1
kind: ConnectionTest
metadata: {name: db, namespace: shop}
cases: [{name: the database is for the API, to: app=db, ports: [5432], onlyFrom: app=api}]
`
)

// A pull request is told what it gets wrong, which cases fail, and which connections it opens.
func TestAPullRequest(t *testing.T) {
	r := newRepository(t)
	r.write(r.directory, "manifests/db.yaml", policy)
	r.write(r.directory, "tests/db.yaml", cases)
	r.commit()
	comment, summary, calls := filepath.Join(t.TempDir(), "comment.md"), filepath.Join(t.TempDir(), "summary.md"), filepath.Join(t.TempDir(), "calls")
	env := []string{"MANIFESTS=manifests", "CASES=tests", "BASE=main", "FAIL_ON=opened", "FORMAT=github", "COMMENT=" + comment, "CALLS=" + calls, "GITHUB_STEP_SUMMARY=" + summary}

	r.must(r.run(r.directory, env, script(t, "review.sh")))
	if text, _ := os.ReadFile(comment); string(text) != "**Connections: no connection is opened or closed**\n" {
		t.Errorf("nothing changed: %s", text)
	}

	r.write(r.directory, "manifests/db.yaml", strings.Replace(policy, "matchLabels: {app: api}", "", 1))
	out, code := r.run(r.directory, env, script(t, "review.sh"))
	if code != 1 || !strings.Contains(out, "::error file=manifests/db.yaml,line=7,") || !strings.Contains(out, "title=the database is for the API::") {
		t.Errorf("exits with %d: %s", code, out)
	}
	text, err := os.ReadFile(comment)
	if err != nil || !strings.Contains(string(text), "| 🟢 opened | `shop/any pod` | `shop/any pod labelled app=db` | `TCP 5432` | `manifests/db.yaml:7` |") {
		t.Errorf("%v: %s", err, text)
	}

	r.must(r.run(r.directory, append(env, "PULL_REQUEST=7"), script(t, "comment.sh")))
	said, err := os.ReadFile(calls)
	if want := "pr comment 7 --body-file " + comment + " --edit-last --create-if-none\n"; err != nil || string(said) != want {
		t.Errorf("%v: gh is asked for %q, want %q", err, said, want)
	}
	if shown, err := os.ReadFile(summary); err != nil || string(shown) != string(text) {
		t.Errorf("%v: the summary is %s", err, shown)
	}
}

// Manifests that the base does not have are compared with none; what cannot be read fails, and says so.
func TestNewAndUnreadableManifests(t *testing.T) {
	r := newRepository(t)
	r.write(r.directory, "README.md", "nothing yet\n")
	r.commit()
	r.write(r.directory, "manifests/db.yaml", policy)
	env := []string{"MANIFESTS=manifests", "BASE=main"}
	if out, code := r.run(r.directory, env, script(t, "review.sh")); code != 0 || !strings.Contains(out, "🔴 closed") {
		t.Errorf("exits with %d: %s", code, out)
	}
	r.write(r.directory, "manifests/db.yaml", policy+"  ingres: []\n")
	if out, code := r.run(r.directory, env, script(t, "review.sh")); code != 2 || !strings.Contains(out, "spec.ingres: unknown field") {
		t.Errorf("exits with %d: %s", code, out)
	}
}

// A hook runs as pre-commit runs it: its entry with the arguments of the example above it.
func TestHooks(t *testing.T) {
	r := newRepository(t)
	r.write(r.directory, "manifests/db.yaml", policy)
	r.write(r.directory, "tests/db.yaml", cases)
	var hooks []struct{ ID, Entry, Language string }
	read(t, ".pre-commit-hooks.yaml", &hooks)
	args := map[string][]string{"apptier-lint": {"-f", "manifests", "-R"}, "apptier-test": {"-f", "tests", "-f", "manifests", "-R"}}
	if len(hooks) != len(args) {
		t.Fatalf("%d hooks", len(hooks))
	}
	for _, hook := range hooks {
		if out, code := r.run(r.directory, nil, "sh", "-c", hook.Entry+" "+strings.Join(args[hook.ID], " ")); code != 0 {
			t.Errorf("%s exits with %d: %s", hook.ID, code, out)
		}
	}
}

// kubectl completes the plugin's words by a program of its own.
func TestCompletion(t *testing.T) {
	r := newRepository(t)
	if out, code := r.run(r.directory, nil, script(t, "../kubectl_complete-apptier"), "map", "-o", ""); code != 0 || !strings.HasPrefix(out, "table\nmatrix\nmd\nmermaid\n") {
		t.Errorf("exits with %d: %s", code, out)
	}
}

// What the action sets is what its scripts read, and its scripts are there.
func TestAction(t *testing.T) {
	var action struct {
		Inputs map[string]any
		Runs   struct {
			Steps []struct {
				Run string
				Env map[string]string
			}
		}
	}
	read(t, "action.yml", &action)
	used := ""
	for _, step := range action.Runs.Steps {
		name, isScript := strings.CutPrefix(strings.Trim(step.Run, `'"`), "$ACTION/hack/review/")
		for variable, value := range step.Env {
			used += value
			if !isScript || variable == "ACTION" || strings.HasPrefix(variable, "GH_") {
				continue
			}
			text, err := os.ReadFile(script(t, strings.Trim(name, `'"`)))
			if err != nil || !strings.Contains(string(text), "$"+variable) && !strings.Contains(string(text), "${"+variable) {
				t.Errorf("%s does not read %s: %v", name, variable, err)
			}
		}
	}
	for input := range action.Inputs {
		if !strings.Contains(used, "inputs."+input) {
			t.Errorf("no step takes the input %s", input)
		}
	}
}

// The page about CI has the hooks and inputs that there are.
func TestPage(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	var action struct{ Inputs map[string]any }
	read(t, "action.yml", &action)
	inputs := []string{"manifests", "cases", "fail-on"}
	for _, input := range inputs {
		if _, found := action.Inputs[input]; !found || !strings.Contains(string(page), "        "+input+": ") {
			t.Errorf("input %s", input)
		}
	}
	if !strings.Contains(string(page), "apptier-test, args: [-f, tests, -f, manifests, -R]") {
		t.Error("the page does not have the hook apptier-test")
	}
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
