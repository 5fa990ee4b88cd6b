package scenario_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/scenario"
)

// The components change config/default as they say.
func TestComponents(t *testing.T) {
	for component, check := range map[string]struct{ has, lacks []string }{
		"no-enforcer": {
			has:   []string{"name: apptier-manager\n"},
			lacks: []string{"apptier-enforcer", "NET_ADMIN"},
		},
		"no-nri": {
			has:   []string{"- --nri-socket=\n", "name: apptier-enforcer\n"},
			lacks: []string{"hostPath", "/var/run/nri", "volumes:\n      - name: nri"},
		},
		"strict": {
			has: []string{"failurePolicy: Ignore", "failurePolicy: Fail\n  matchConditions:", "failurePolicy: Fail\n  name: apptier.policy.apptier.dev\n"},
		},
		"cert-manager": {
			has:   []string{"kind: Certificate", "cert-manager.io/inject-ca-from: apptier-system/apptier-webhook", "--rotate-certs=false", "secretName: apptier-webhook-cert"},
			lacks: []string{"kind: Secret\n", "emptyDir"},
		},
	} {
		t.Run(component, func(t *testing.T) {
			manifests := string(build(t, "components: ["+config(t, "components", component)+"]"))
			for _, text := range check.has {
				if !strings.Contains(manifests, text) {
					t.Errorf("no %q in the manifests", text)
				}
			}
			for _, text := range check.lacks {
				if strings.Contains(manifests, text) {
					t.Errorf("%q in the manifests", text)
				}
			}
		})
	}
}

// config is a path in the repository's config folder.
func config(t *testing.T, elements ...string) string {
	t.Helper()
	repository, err := cluster.Repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{repository, "config"}, elements...)...)
}

// build makes a kustomization on top of config/default.
func build(t *testing.T, more string) []byte {
	t.Helper()
	dir := t.TempDir()
	relative := func(path string) string {
		out, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	base := config(t)
	text := "resources: [" + relative(filepath.Join(base, "default")) + "]\n" + strings.ReplaceAll(more, base, relative(base)) + "\n"
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	manifests, err := scenario.KustomizeDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return manifests
}
