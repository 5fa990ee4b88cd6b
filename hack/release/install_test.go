package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/krew/pkg/index"
	"sigs.k8s.io/yaml"
)

// The manifests have the images by their digests, the version in labels, and what their names say.
func TestManifests(t *testing.T) {
	for file, check := range map[string]struct{ has, lacks []string }{
		"install.yaml":             {[]string{"kind: DaemonSet", "failurePolicy: Ignore\n  name: apptier.policy.apptier.dev\n"}, nil},
		"install-no-enforcer.yaml": {[]string{"kind: Deployment"}, []string{"kind: DaemonSet", "NET_ADMIN"}},
		"install-strict.yaml":      {[]string{"kind: DaemonSet", "failurePolicy: Fail\n  name: apptier.policy.apptier.dev\n"}, nil},
		"crds.yaml":                {[]string{"kind: CustomResourceDefinition"}, []string{"kind: Deployment", "kind: Namespace\n"}},
	} {
		t.Run(file, func(t *testing.T) {
			text := string(read(t, made(t, file)))
			for _, want := range append(check.has, "app.kubernetes.io/version: "+testVersion) {
				if !strings.Contains(text, want) {
					t.Errorf("no %q", want)
				}
			}
			for _, not := range append(check.lacks, "apptier/manager:dev", "apptier/enforcer:dev") {
				if strings.Contains(text, not) {
					t.Errorf("it has %q", not)
				}
			}
			for line := range strings.Lines(text) {
				if strings.Contains(line, " image: ") && !strings.Contains(line, ":"+testVersion+"@sha256:") {
					t.Errorf("no digest: %s", line)
				}
			}
		})
	}
}

// The packed chart installs what the manifest does; internal/chartgen tries all its values.
func TestChartIsTheManifest(t *testing.T) {
	for file, values := range map[string][]string{
		"install.yaml":             nil,
		"install-no-enforcer.yaml": {"--set", "enforcer.enabled=false"},
		"install-strict.yaml":      {"--set", "webhook.strict=true"},
	} {
		t.Run(file, func(t *testing.T) {
			want := objects(t, string(read(t, made(t, file))))
			delete(want, "Namespace /apptier-system") // Helm's own
			args := []string{"template", "apptier", made(t, "apptier-0.1.0.tgz"), "-n", "apptier-system", "--skip-tests"}
			got := objects(t, helm(t, append(args, values...)...))
			if got, want := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
				t.Fatalf("the objects differ (- manifest, + chart):\n%s", cmp.Diff(want, got))
			}
			if difference := cmp.Diff(want, got); difference != "" {
				t.Errorf("they differ (- manifest, + chart):\n%s", difference)
			}
		})
	}
}

func TestChartIsAChart(t *testing.T) {
	packed := made(t, "apptier-0.1.0.tgz")
	if out := helm(t, "show", "chart", packed); !strings.Contains(out, "\nversion: 0.1.0\n") || !strings.Contains(out, "appVersion: v0.1.0\n") {
		t.Errorf("it says:\n%s", out)
	}
	helm(t, "lint", "--strict", packed)
}

func helm(t *testing.T, args ...string) string {
	t.Helper()
	tools, err := filepath.Abs(repository + "/tools/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=" + tools, "helm"}, args...)...)
	home := t.TempDir()
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	command.Dir, command.Stderr = repository, os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("helm %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// objects are those of a stream, without what says by which program they are managed.
func objects(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if object == nil {
			continue
		}
		metadata := object["metadata"].(map[string]any)
		for _, label := range []string{"app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "helm.sh/chart"} {
			delete(metadata["labels"].(map[string]any), label)
		}
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			delete(annotations, "helm.sh/resource-policy")
		}
		namespace, _ := metadata["namespace"].(string)
		found[object["kind"].(string)+" "+namespace+"/"+metadata["name"].(string)] = object
	}
	return found
}

// Krew reads its manifest, and installs this machine's archive by it.
func TestKrew(t *testing.T) {
	file := made(t, "krew", "apptier.yaml")
	var manifest index.Plugin
	if err := yaml.UnmarshalStrict(read(t, file), &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Spec.Platforms) != len(chosen().plugins) {
		t.Errorf("it is for %d platforms", len(manifest.Spec.Platforms))
	}
	for _, platform := range manifest.Spec.Platforms {
		if line := platform.Sha256 + "  " + filepath.Base(platform.URI) + "\n"; !strings.Contains(string(read(t, made(t, sums))), line) {
			t.Errorf("no such file as %s", line)
		}
	}
	t.Setenv("KREW_ROOT", t.TempDir())
	archive := made(t, plugin+"_"+testVersion+"_linux_"+runtime.GOARCH+".tar.gz")
	install := exec.CommandContext(t.Context(), "go", "tool", "krew", "install", "--manifest="+file, "--archive="+archive)
	out, err := install.CombinedOutput()
	if err != nil {
		t.Fatalf("krew: %v\n%s", err, out)
	}
	installed := filepath.Join(os.Getenv("KREW_ROOT"), "bin", plugin)
	if out, err := exec.CommandContext(t.Context(), installed, "version").CombinedOutput(); err != nil || !strings.Contains(string(out), testVersion) {
		t.Errorf("what krew installed: %v\n%s", err, out)
	}
}
