package report

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
)

// What is written is read as it was, whatever labels say: kubectl reads YAML 1.1, in which yes is true.
func TestAppTiersAreReadAsWritten(t *testing.T) {
	for _, value := range []string{
		"web", "yes", "no", "on", "y", "true", "null", "~", "1", "0123", "1.10", "1e3", "0x1f", "2020-01-01", "12:30:45", "", "a.b", "-", "v1-2_3",
		"spec: a: reason # with 'quotes' and \"more\", which is " + strings.Repeat("long ", 40),
	} {
		app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Name: "shop", Annotations: map[string]string{"reason": value}}}
		app.Spec.Tiers = []v1alpha1.Tier{{Name: "web", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": value}}}}
		text, err := AppTierYAML(app)
		if err != nil {
			t.Fatal(err)
		}
		var read v1alpha1.AppTier
		if err := yaml.UnmarshalStrict(text, &read); err != nil {
			t.Errorf("%q: %v\n%s", value, err, text)
			continue
		}
		if got := read.Spec.Tiers[0].PodSelector.MatchLabels["app"]; got != value || read.Annotations["reason"] != value {
			t.Errorf("%q is read as %q:\n%s", value, got, text)
		}
	}
}
