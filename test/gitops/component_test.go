package gitops

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// The component adds the scripts to whatever argocd-cm holds, under the keys that Argo CD looks for.
func TestTheComponentAddsToArgoCDsConfiguration(t *testing.T) {
	dir := t.TempDir()
	component, err := filepath.Abs(filepath.Join(root, "config", "argocd"))
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(dir, component)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"argocd-cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n  url: " +
			"https://argo.example.com\n",
		"kustomization.yaml": "resources: [argocd-cm.yaml]\ncomponents: [" + filepath.ToSlash(relative) + "]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	var got corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, key := range []string{"url", "resource.customizations.health.policy.apptier.dev_AppTier",
		"resource.customizations.health.policy.apptier.dev_StagedNetworkPolicy"} {
		if got.Data[key] == "" {
			t.Errorf("%s is not there: %s", key, text)
		}
	}
	if got.Name != "argocd-cm" || got.Namespace != "argocd" || len(got.Data) != 3 {
		t.Errorf("got %s", text)
	}
}
