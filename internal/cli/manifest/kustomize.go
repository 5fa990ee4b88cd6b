package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	yamlv3 "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// build runs kustomize, as a library: no program is run, and nothing but the disk is read, as long
// as the kustomization names no remote resource.
func build(directory string) ([]Document, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(withOrigins(directory), directory)
	if types.IsErrOnlyBuiltinPluginsAllowed(err) {
		return nil, fmt.Errorf("building the kustomization %s: it calls functions, and no program is run here: have kustomize build "+
			"it, and give the result with -f -", directory)
	}
	if err != nil {
		return nil, fmt.Errorf("building the kustomization: %w", err)
	}
	var documents []Document
	for i, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, fmt.Errorf("writing what the kustomization %s builds: %w", directory, err)
		}
		d := Document{File: "kustomization " + directory, Number: i + 1, text: text, Built: true}
		d.From, d.WrittenName = writtenAs(directory, r)
		documents = append(documents, d)
	}
	return documents, nil
}

// originFiles is the disk, where a kustomization asks for what it does not say: where its resources are from
// (https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/buildmetadata/).
type originFiles struct {
	filesys.FileSystem
	directory string
}

func withOrigins(directory string) filesys.FileSystem {
	disk := filesys.MakeFsOnDisk()
	if root, _, err := disk.CleanedAbs(directory); err == nil {
		return originFiles{disk, root.String()}
	}
	return disk
}

// ReadFile returns the contents of a file.
func (f originFiles) ReadFile(path string) ([]byte, error) {
	text, err := f.FileSystem.ReadFile(path)
	if err == nil && filepath.Dir(path) == f.directory && slices.Contains(konfig.RecognizedKustomizationFileNames(), filepath.Base(path)) {
		text = askingForOrigins(text)
	}
	return text, err
}

// askingForOrigins is a kustomization that asks for origins; one that cannot be read stays as it is, since
// kustomize says what is wrong with it.
func askingForOrigins(text []byte) []byte {
	var kustomization map[string]any
	if yaml.Unmarshal(text, &kustomization) != nil || kustomization == nil {
		return text
	}
	wanted, _ := kustomization["buildMetadata"].([]any)
	kustomization["buildMetadata"] = append(wanted, types.OriginAnnotations)
	if asking, err := yaml.Marshal(kustomization); err == nil {
		return asking
	}
	return text
}

// writtenAs returns where a resource was written and what it was called there; nil where kustomize does not
// tell.
func writtenAs(directory string, r *resource.Resource) (*Origin, string) {
	from, err := r.GetOrigin()
	if err != nil || from == nil || from.Path == "" || from.Repo != "" {
		return nil, ""
	}
	file := filepath.Join(directory, from.Path)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, ""
	}
	var best *Origin
	name := ""
	for _, d := range Split(file, text) {
		for item, node := range objectsIn(d.root()) {
			called := wordOf(fieldNode(fieldNode(node, "metadata"), "name"))
			isSame := wordOf(fieldNode(node, "kind")) == r.GetKind() && strings.Contains(r.GetName(), called)
			if isSame && (best == nil || len(called) > len(name)) {
				best, name = &Origin{Document: d, Item: item}, called
			}
		}
	}
	return best, name
}

// objectsIn are the nodes of the object that a document is, first, and of the items of a list, in their order.
func objectsIn(root *yamlv3.Node) []*yamlv3.Node {
	nodes := []*yamlv3.Node{root}
	if items := fieldNode(root, "items"); items != nil && items.Kind == yamlv3.SequenceNode {
		nodes = append(nodes, items.Content...)
	}
	return nodes
}

// patchesOf returns the files of a folder that its kustomizations have for patches and the like, each with
// the kustomization.
func patchesOf(files []string) map[string]string {
	out := map[string]string{}
	seen := map[string]bool{}
	for _, file := range files {
		directory := filepath.Dir(file)
		if seen[directory] {
			continue
		}
		seen[directory] = true
		for _, name := range konfig.RecognizedKustomizationFileNames() {
			recipe := filepath.Join(directory, name)
			text, err := os.ReadFile(recipe)
			var kustomization map[string]any
			if err != nil || yaml.Unmarshal(text, &kustomization) != nil {
				continue // none, or -k says what is wrong with it
			}
			for _, path := range partsOf(kustomization) {
				out[filepath.Join(directory, path)] = recipe
			}
		}
	}
	return out
}

// partsOf are the files that a kustomization names, and that are no manifests of their own.
func partsOf(kustomization map[string]any) []string {
	var paths []string
	for _, field := range []string{"patches", "patchesStrategicMerge", "patchesJson6902", "replacements", "configurations", "generators",
		"transformers", "validators", "crds"} {
		entries, _ := kustomization[field].([]any)
		for _, entry := range entries {
			switch of := entry.(type) {
			case string:
				paths = append(paths, of)
			case map[string]any:
				if path, ok := of["path"].(string); ok {
					paths = append(paths, path)
				}
			}
		}
	}
	return slices.DeleteFunc(paths, func(path string) bool { return strings.ContainsAny(path, "\n{") })
}

// fieldNode is what a field of a node holds; nil for nothing.
func fieldNode(node *yamlv3.Node, field string) *yamlv3.Node {
	if node == nil || node.Kind != yamlv3.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == field {
			return node.Content[i+1]
		}
	}
	return nil
}

func wordOf(node *yamlv3.Node) string {
	if node == nil {
		return ""
	}
	return node.Value
}
