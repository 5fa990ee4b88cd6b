package gitops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

// expressions are those that docs/gitops.md gives to Flux.
type expressions struct{ InProgress, Failed, Current string }

// The expressions of the documentation say what kstatus cannot: that a refused AppTier has failed, and that one without
// status is not there yet. What else they say is the same.
func TestFluxExpressions(t *testing.T) {
	given := documented(t)
	for _, test := range healths {
		want := test.kstate
		switch {
		case test.name == "refused":
			want = status.FailedStatus
		case test.name == "just created":
			want = status.InProgressStatus
		case want == status.TerminatingStatus:
			continue // Flux does not wait for what it deletes
		}
		if got := given.evaluate(t, object(t, appTier(test.change))); got != want {
			t.Errorf("%s: %s, want %s", test.name, got, want)
		}
	}
}

func documented(t *testing.T) expressions {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "gitops.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "```yaml\napiVersion: kustomize.toolkit.fluxcd.io/v1\n")
	block, _, _ := strings.Cut(after, "```")
	var kustomization struct {
		Spec struct{ HealthCheckExprs []expressions }
	}
	if err := yaml.Unmarshal([]byte(block), &kustomization); err != nil || len(kustomization.Spec.HealthCheckExprs) != 1 {
		t.Fatalf("%v: %s", err, block)
	}
	return kustomization.Spec.HealthCheckExprs[0]
}

// evaluate takes the first that is true, in Flux's order. With a field that is not there Flux waits.
func (e expressions) evaluate(t *testing.T, object map[string]any) status.Status {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("metadata", cel.DynType), cel.Variable("status", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct {
		expression string
		means      status.Status
	}{{e.InProgress, status.InProgressStatus}, {e.Failed, status.FailedStatus}, {e.Current, status.CurrentStatus}} {
		ast, issues := env.Compile(check.expression)
		if issues.Err() != nil {
			t.Fatalf("%s: %v", check.expression, issues.Err())
		}
		program, err := env.Program(ast)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := program.Eval(object)
		if err != nil {
			return status.InProgressStatus
		}
		if got.Value() == true {
			return check.means
		}
	}
	return status.InProgressStatus
}
