package lint_test

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// Whatever objects say, judging them ends, and every finding is complete. They are decoded and no
// more: what the API server would refuse is judged too.

func FuzzNetworkPolicy(f *testing.F) {
	for _, entry := range lint.Catalogue() {
		example := entry.Example()
		f.Add([]byte(example.Wrong), []byte(example.Right))
	}
	f.Fuzz(func(t *testing.T, judged, other []byte) {
		var policies [2]networkingv1.NetworkPolicy
		for i, text := range [][]byte{judged, other} {
			if yaml.Unmarshal(text, &policies[i]) != nil {
				return
			}
		}
		policies[1].Name += "-other"
		known := world.Of(append(surroundings(&policies[0], &policies[1]), &policies[1]))
		complete(t, lint.NetworkPolicy(&policies[0], known))
		known.Generated = append(known.Generated, &policies[1])
		known.Whole = true
		complete(t, lint.NetworkPolicy(&policies[0], known))
	})
}

func FuzzAppTier(f *testing.F) {
	var seeds [][]byte
	for _, pattern := range []string{"apptier/testdata/*.yaml", "../expand/testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			seeds = append(seeds, text)
		}
	}
	for i, seed := range seeds {
		f.Add(seed, seeds[(i+1)%len(seeds)])
	}
	f.Fuzz(func(t *testing.T, judged, other []byte) {
		var apps [2]v1alpha1.AppTier
		for i, text := range [][]byte{judged, other} {
			if yaml.Unmarshal(text, &apps[i]) != nil {
				return
			}
		}
		complete(t, lint.AppTier(&apps[0]))
		known := world.Of(append(surroundings(&apps[0], &apps[1]), &apps[1]))
		complete(t, lint.AppTierIn(&apps[0], known))
		known.Whole = true
		complete(t, lint.AppTierIn(&apps[0], known))
	})
}

func complete(t *testing.T, findings []check.Finding) {
	t.Helper()
	for _, finding := range findings {
		if finding.Path == "" || finding.Message == "" || finding.Fix == "" {
			t.Errorf("%+v lacks a path, a reason or a fix", finding)
		}
	}
}

// surroundings are some pods, one of which is on its node's network, and a Service, in the namespaces of
// objects.
func surroundings(of ...metav1.Object) []runtime.Object {
	var out []runtime.Object
	for _, o := range of {
		meta := func(name string) metav1.ObjectMeta {
			return metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: name, Labels: map[string]string{"app": "web", "tier": name}}
		}
		out = append(out, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.GetNamespace()}},
			&corev1.Pod{ObjectMeta: meta("host"), Spec: corev1.PodSpec{HostNetwork: true}},
			&corev1.Service{ObjectMeta: meta("web"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}}},
			&corev1.Pod{ObjectMeta: meta("api"), Status: corev1.PodStatus{PodIP: "10.0.0.7"}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}}})
	}
	return out
}
