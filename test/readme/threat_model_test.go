package readme

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apptier/apptier/internal/testenv/manifests"

	gocmp "github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const threatModel = root + "/docs/threat-model.md"

var (
	testName = regexp.MustCompile(`\bTest[A-Z]\w+`)
	testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z]\w+)\(`)
)

// A promise is worth what shows it.
func TestTestsOfTheThreatModelExist(t *testing.T) {
	there := map[string]bool{}
	if err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range testFunc.FindAllSubmatch(source, -1) {
			there[string(match[1])] = true
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(threatModel)
	if err != nil {
		t.Fatal(err)
	}
	names := testName.FindAllString(string(text), -1)
	if len(names) == 0 {
		t.Fatal("the threat model names no test")
	}
	for _, name := range names {
		if !there[name] {
			t.Errorf("docs/threat-model.md names %s, which is no test", name)
		}
	}
}

// An attack that is tried is one that somebody is promised something against.
func TestTheThreatModelNamesEveryAttack(t *testing.T) {
	text, err := os.ReadFile(threatModel)
	if err != nil {
		t.Fatal(err)
	}
	named := testName.FindAllString(string(text), -1)
	files, err := filepath.Glob(root + "/test/attack/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no attacks: %v", err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range testFunc.FindAllStringSubmatch(string(source), -1) {
			if match[1] != "TestMain" && !slices.Contains(named, match[1]) {
				t.Errorf("docs/threat-model.md does not name %s", match[1])
			}
		}
	}
}

// What a thief of an account can do is what the manifests give it.
func TestRightsAreThoseOfTheThreatModel(t *testing.T) {
	deployed, err := manifests.KustomizeDir(root + "/config/default")
	if err != nil {
		t.Fatal(err)
	}
	rights, err := rightsOf(deployed)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(threatModel)
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ := strings.Cut(string(text), "```text\n")
	said, _, _ = strings.Cut(said, "```")
	if diff := gocmp.Diff(said, rights); diff != "" {
		t.Errorf("docs/threat-model.md and config/default differ (-said +given):\n%s", diff)
	}
}

// binding gives an account the rules of a role.
type binding struct{ account, role string }

// rightsOf lists what the manifests let each account do, a line a rule.
func rightsOf(deployed []byte) (string, error) {
	rules, bindings := map[string][]rbacv1.PolicyRule{}, []binding{}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(deployed), 4096)
	for {
		var o struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Rules    []rbacv1.PolicyRule
			RoleRef  rbacv1.RoleRef
			Subjects []rbacv1.Subject
		}
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return "", fmt.Errorf("reading the manifests: %w", err)
		}
		switch where := "in " + cmp.Or(o.Metadata.Namespace, "every namespace"); o.Kind {
		case "ClusterRole", "Role":
			rules[o.Kind+" "+o.Metadata.Name] = o.Rules
		case "ClusterRoleBinding", "RoleBinding":
			for _, s := range o.Subjects {
				bindings = append(bindings, binding{s.Name + ", " + where, o.RoleRef.Kind + " " + o.RoleRef.Name})
			}
		}
	}
	slices.SortFunc(bindings, func(a, b binding) int { return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.role, b.role)) })
	var out strings.Builder
	for _, b := range bindings {
		fmt.Fprintf(&out, "%s:\n", b.account)
		for _, rule := range rules[b.role] {
			fmt.Fprintf(&out, "  %s: %s", strings.Join(rule.Resources, ", "), strings.Join(rule.Verbs, ", "))
			if len(rule.ResourceNames) > 0 {
				fmt.Fprintf(&out, " (%s alone)", strings.Join(rule.ResourceNames, ", "))
			}
			out.WriteString("\n")
		}
	}
	return out.String(), nil
}
