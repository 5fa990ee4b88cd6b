package lint_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// parse reads manifests of the kinds that checks know.
func parse(t testing.TB, text string) []runtime.Object {
	t.Helper()
	kinds := map[string]func() runtime.Object{
		"AppTier":       func() runtime.Object { return &v1alpha1.AppTier{} },
		"NetworkPolicy": func() runtime.Object { return &networkingv1.NetworkPolicy{} },
		"Namespace":     func() runtime.Object { return &corev1.Namespace{} },
		"Pod":           func() runtime.Object { return &corev1.Pod{} },
		"Service":       func() runtime.Object { return &corev1.Service{} },
		"Deployment":    func() runtime.Object { return &appsv1.Deployment{} },
		"StatefulSet":   func() runtime.Object { return &appsv1.StatefulSet{} },
		"DaemonSet":     func() runtime.Object { return &appsv1.DaemonSet{} },
		"CronJob":       func() runtime.Object { return &batchv1.CronJob{} },

		"ValidatingWebhookConfiguration": func() runtime.Object { return &admissionv1.ValidatingWebhookConfiguration{} },
	}
	var objects []runtime.Object
	for _, document := range strings.Split("\n"+text, "\n---\n") {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
			t.Fatalf("%s\n%v", document, err)
		}
		if meta.Kind == "" {
			continue
		}
		object := kinds[meta.Kind]()
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Fatalf("%s\n%v", document, err)
		}
		objects = append(objects, object)
	}
	return objects
}

// worldOf is what objects say, with what their AppTiers stand for.
func worldOf(objects []runtime.Object) world.World {
	known := world.Of(objects)
	for _, object := range objects {
		if app, ok := object.(*v1alpha1.AppTier); ok {
			known.Generated = append(known.Generated, expand.NetworkPolicies(app, expand.DefaultEnvironment())...)
		}
	}
	return known
}

// judgeObject runs the checks on the first object of a text, in the world that the others make.
func judgeObject(t testing.TB, text, rest string) []check.Finding {
	t.Helper()
	objects := parse(t, text+"---\n"+rest)
	switch o := objects[0].(type) {
	case *v1alpha1.AppTier:
		return lint.AppTierIn(o, worldOf(objects))
	case *networkingv1.NetworkPolicy:
		return lint.NetworkPolicy(o, worldOf(objects))
	default:
		t.Fatalf("the first object is a %T", o)
		return nil
	}
}

// Every check finds its own example, and nothing else in it; and nothing in what is put right.
func TestExamples(t *testing.T) {
	for _, entry := range lint.Catalogue() {
		t.Run(string(entry.ID), func(t *testing.T) {
			if !entry.IsOfObjects() {
				t.Skip("is made by who reads files, and tested there")
			}
			example := entry.Example()
			if example.Wrong == "" || example.Right == "" {
				t.Fatal("has no example")
			}
			found := judgeObject(t, example.Wrong, example.World)
			if len(found) == 0 {
				t.Error("is not found in its example")
			}
			for _, finding := range found {
				t.Log(finding)
				if finding.Check != entry.ID || finding.Severity != entry.Severity {
					t.Errorf("finds %s %s in the example of %s %s", finding.Severity, finding.Check, entry.Severity, entry.ID)
				}
				if finding.Path == "" || finding.Message == "" || finding.Fix == "" {
					t.Errorf("%+v lacks a path, a reason or a fix", finding)
				}
			}
			for _, finding := range judgeObject(t, example.Right, example.World) {
				t.Errorf("finds in what is put right: %s", finding)
			}
		})
	}
}

// A check is a file that registers it, and its example: nothing else names it.
func TestEveryCheckHasAnExample(t *testing.T) {
	var wanted []string
	for _, entry := range lint.Catalogue() {
		if entry.ID != check.OverBudget && entry.ID != check.TooBig {
			wanted = append(wanted, string(entry.ID)+".yaml")
		}
	}
	files, err := filepath.Glob("*/examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		found = append(found, filepath.Base(file))
	}
	slices.Sort(found)
	slices.Sort(wanted)
	if !slices.Equal(wanted, found) {
		t.Errorf("the examples are %v, the checks have %v", found, wanted)
	}
}
