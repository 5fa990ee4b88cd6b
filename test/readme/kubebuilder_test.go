package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"
)

// Whoever knows kubebuilder finds its targets, in the help too, and each can be made.
func TestKubebuildersTargets(t *testing.T) {
	help, err := exec.CommandContext(t.Context(), "make", "-C", root, "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{
		"help", "manifests", "generate", "fmt", "vet", "test", "test-e2e", "lint", "lint-fix", "build", "run", "docker-build", "docker-push",
		"build-installer", "install", "uninstall", "deploy", "undeploy",
	} {
		if !regexp.MustCompile(`36m` + target + ` *\x1b`).Match(help) {
			t.Errorf("make help does not list %s", target)
		}
		if out, err := exec.CommandContext(t.Context(), "make", "-C", root, "-n", target).CombinedOutput(); err != nil {
			t.Errorf("make %s: %v\n%s", target, err, out)
		}
	}
}

// resource is what kubebuilder's PROJECT knows about a kind.
type resource struct {
	API struct {
		CRDVersion string `json:"crdVersion"`
		Namespaced bool   `json:"namespaced"`
	} `json:"api"`
	Controller bool   `json:"controller"`
	Core       bool   `json:"core"`
	Domain     string `json:"domain"`
	Group      string `json:"group"`
	Kind       string `json:"kind"`
	Path       string `json:"path"`
	Version    string `json:"version"`
	Webhooks   struct {
		Validation     bool   `json:"validation"`
		WebhookVersion string `json:"webhookVersion"`
	} `json:"webhooks"`
}

// PROJECT tells kubebuilder of the module, of each kind that has a CRD, and of each that a webhook validates.
func TestProject(t *testing.T) {
	var project struct {
		Domain      string     `json:"domain"`
		Layout      []string   `json:"layout"`
		ProjectName string     `json:"projectName"`
		Repo        string     `json:"repo"`
		Resources   []resource `json:"resources"`
		Version     string     `json:"version"`
	}
	if err := yaml.UnmarshalStrict(read(t, "PROJECT"), &project); err != nil {
		t.Fatal(err)
	}
	if module := "module " + project.Repo + "\n"; !strings.HasPrefix(string(read(t, "go.mod")), module) {
		t.Errorf("the module is not %s", project.Repo)
	}
	var kinds, validated []string
	for _, r := range project.Resources {
		name := r.Group + "." + r.Domain + "/" + r.Version + " " + r.Kind
		if r.API.CRDVersion != "" {
			kinds = append(kinds, name)
			if _, err := os.Stat(filepath.Join(root, strings.TrimPrefix(r.Path, project.Repo))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if r.Webhooks.Validation {
			validated = append(validated, r.Group+"."+r.Domain+"/"+r.Version+" "+strings.ToLower(r.Kind))
		}
	}
	if got := kindsOfCRDs(t); !slices.Equal(got, kinds) {
		t.Errorf("the kinds are %q, in PROJECT %q", got, kinds)
	}
	slices.Sort(validated)
	if got := validatedKinds(t); !slices.Equal(got, validated) {
		t.Errorf("webhooks validate %q, in PROJECT %q", got, validated)
	}
}

func kindsOfCRDs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(root + "/config/crd/bases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, file := range files {
		var crd struct {
			Spec struct {
				Group    string
				Names    struct{ Kind string }
				Versions []struct{ Name string }
			}
		}
		if err := yaml.Unmarshal(read(t, strings.TrimPrefix(file, root)), &crd); err != nil {
			t.Fatal(err)
		}
		for _, version := range crd.Spec.Versions {
			kinds = append(kinds, crd.Spec.Group+"/"+version.Name+" "+crd.Spec.Names.Kind)
		}
	}
	return kinds
}

func validatedKinds(t *testing.T) []string {
	t.Helper()
	var configuration admissionv1.ValidatingWebhookConfiguration
	if err := yaml.UnmarshalStrict(read(t, "config/webhook/manifests.yaml"), &configuration); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, webhook := range configuration.Webhooks {
		for _, rule := range webhook.Rules {
			kind := strings.TrimSuffix(strings.Replace(rule.Resources[0], "policies", "policys", 1), "s")
			kinds = append(kinds, rule.APIGroups[0]+"/"+rule.APIVersions[0]+" "+kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
