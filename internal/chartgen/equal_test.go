package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// way is one way to install apptier, said to helm and said to kustomize.
type way struct {
	namespace  string
	values     map[string]any
	components []string
	more       types.Kustomization
	// without are objects that kustomize makes and the chart does not.
	without []string
	cleanup bool
}

// toggles are the values that are true or false; the component belongs to the value that is not the default.
var toggles = []struct {
	path      string
	by        bool
	component string
}{
	{"enforcer.enabled", true, "no-enforcer"},
	{"enforcer.nri", true, "no-nri"},
	{"enforcer.metrics", false, "enforcer-metrics"},
	{"enforcer.observe", false, "observe"},
	{"monitors.enabled", false, "monitors"},
	{"webhook.strict", false, "strict"},
	{"webhook.certManager", false, "cert-manager"},
	{"webhook.widenVerb", false, "widen-verb"},
}

// toggled is the way whose bits say which toggles are not as by default.
func toggled(bits int) way {
	w := way{namespace: managerNamespace, values: map[string]any{}}
	for i, toggle := range toggles {
		value := toggle.by
		if bits>>i&1 == 1 {
			value = !value
			w.components = append(w.components, toggle.component)
		}
		set(w.values, toggle.path, value)
	}
	// Kustomize is told what is of the enforcer only where there is one.
	if slices.Contains(w.components, "no-enforcer") {
		w.components = slices.DeleteFunc(w.components, func(c string) bool { return c == "no-nri" || c == "observe" || strings.HasPrefix(c, "enforcer-") })
	}
	if slices.Contains(w.components, "enforcer-metrics") && slices.Contains(w.components, "monitors") {
		w.components = append(w.components, "enforcer-monitors")
	}
	// The components with patches want their objects to be there.
	slices.SortFunc(w.components, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	return w
}

func rank(component string) string {
	if component == "no-enforcer" {
		return "~" // behind all others
	}
	return component
}

// set sets a value by its path, "enforcer.nri".
func set(values map[string]any, path string, value any) {
	fields := strings.Split(path, ".")
	for _, field := range fields[:len(fields)-1] {
		if values[field] == nil {
			values[field] = map[string]any{}
		}
		values = values[field].(map[string]any)
	}
	values[fields[len(fields)-1]] = value
}

// The chart installs what kustomize does, for all values that are true or false.
func TestTogglesAreComponents(t *testing.T) {
	for bits := range 1 << len(toggles) {
		w := toggled(bits)
		t.Run(strings.Join(w.components, "+"), func(t *testing.T) { w.check(t) })
	}
}

// And for each other value, with everything on and with everything as it is by default.
func TestValuesArePatches(t *testing.T) {
	for name, try := range free() {
		for _, bits := range []int{0, 1<<len(toggles) - 2} {
			t.Run(fmt.Sprintf("%s/%07b", name, bits), func(t *testing.T) {
				w := toggled(bits)
				try(&w)
				w.check(t)
			})
		}
	}
}

// No value of values.yaml is left out by the tests above.
func TestAllValuesAreTried(t *testing.T) {
	tried := map[string]any{}
	for _, toggle := range toggles {
		set(tried, toggle.path, true)
	}
	for _, try := range free() {
		w := way{values: tried}
		try(&w)
	}
	untried := slices.DeleteFunc(paths("", defaults(t)), func(path string) bool {
		return slices.ContainsFunc(paths("", tried), func(p string) bool { return p == path || strings.HasPrefix(p, path+".") })
	})
	if len(untried) > 0 {
		t.Errorf("no test sets %v", untried)
	}
}

// paths are those of values that are not made of values.
func paths(at string, values map[string]any) []string {
	var found []string
	for field, value := range values {
		path := strings.TrimPrefix(at+"."+field, ".")
		if inner, ok := value.(map[string]any); ok && len(inner) > 0 && !slices.Contains([]string{"resources", "nodeSelector", "labels"}, field) {
			found = append(found, paths(path, inner)...)
		} else {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}

func defaults(t *testing.T) map[string]any {
	t.Helper()
	var values map[string]any
	if err := yaml.Unmarshal(readFile(t, chart+"/values.yaml"), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

func (w way) check(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds helm at first, which -short leaves out")
	}
	w.more.Labels = append(w.more.Labels, types.Label{Pairs: map[string]string{"app.kubernetes.io/version": "dev"}, IncludeTemplates: true})
	nodes, err := build(repository, "default", w.components, w.more)
	if err != nil {
		t.Fatal(err)
	}
	if w.cleanup {
		cleanup, err := build(repository, "cleanup", nil, types.Kustomization{Labels: w.more.Labels})
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, cleanup...)
	}
	want := byName(t, nodes)
	for _, name := range append(w.without, "Namespace /"+managerNamespace) {
		if want[name] == nil {
			t.Errorf("kustomize makes no %s either", name)
		}
		delete(want, name)
	}
	want = inNamespace(t, want, w.namespace)
	got := rendered(t, w.namespace, w.values)
	for _, objects := range []map[string]map[string]any{want, got} {
		for _, object := range objects {
			neutral(object)
		}
	}
	if got, want := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Fatalf("the objects differ (- kustomize, + helm):\n%s", cmp.Diff(want, got))
	}
	for name := range want {
		if difference := cmp.Diff(want[name], got[name]); difference != "" {
			t.Errorf("%s (- kustomize, + helm):\n%s", name, difference)
		}
	}
}

// inNamespace is the same for another namespace than apptier-system.
func inNamespace(t *testing.T, objects map[string]map[string]any, namespace string) map[string]map[string]any {
	t.Helper()
	text, err := json.Marshal(objects)
	if err != nil {
		t.Fatal(err)
	}
	var moved map[string]map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), managerNamespace, namespace)), &moved); err != nil {
		t.Fatal(err)
	}
	return moved
}

// neutral takes away by which program an object is managed.
func neutral(object map[string]any) {
	metadata := object["metadata"].(map[string]any)
	labels := metadata["labels"].(map[string]any)
	for _, label := range []string{"app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "helm.sh/chart"} {
		delete(labels, label)
	}
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		delete(annotations, "helm.sh/resource-policy")
	}
}
