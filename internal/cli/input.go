package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// stdinName is what people know standard input by.
const stdinName = "standard input"

// input is the flags that say where manifests are.
type input struct {
	files     []string
	kustomize string
	recursive bool
}

// addFlags uses kubectl's names.
func (in *input) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVarP(&in.files, "filename", "f", nil, "A file or a directory with manifests, or - for standard input. May be repeated.")
	flags.StringVarP(&in.kustomize, "kustomize", "k", "", "A directory with a kustomization.yaml, which is built first.")
	flags.BoolVarP(&in.recursive, "recursive", "R", false, "Read the directories given with -f with all that are in them.")
}

// given says whether there is any input to read.
func (in *input) given() bool { return len(in.files) > 0 || in.kustomize != "" }

// read returns every document of the input. Its error names everything that cannot be read.
func (in *input) read(stdin io.Reader) ([]document, error) {
	switch {
	case !in.given():
		return nil, errors.New("no input: give manifests with -f FILE, -f DIRECTORY or -f -, or a kustomization with -k DIRECTORY")
	case in.kustomize != "" && len(in.files) > 0:
		return nil, errors.New("give manifests with -f or a kustomization with -k, not both")
	case in.kustomize != "":
		return build(in.kustomize)
	}
	var documents []document
	var problems []error
	for _, name := range in.files {
		found, err := in.readOne(stdin, name)
		documents = append(documents, found...)
		problems = append(problems, err)
	}
	return documents, errors.Join(problems...)
}

// readOne reads what one -f names.
func (in *input) readOne(stdin io.Reader, name string) ([]document, error) {
	if name == "-" {
		text, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", stdinName, err)
		}
		return split(stdinName, text), nil
	}
	files, err := in.manifests(name)
	if err != nil {
		return nil, err
	}
	var documents []document
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err // it names the file and the reason
		}
		documents = append(documents, split(file, text)...)
	}
	return documents, nil
}

// manifests returns the files that a name stands for: itself, or, of a directory, those that
// kubectl would read.
func (in *input) manifests(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	var files []string
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != name && !in.recursive:
			return fs.SkipDir
		case !entry.IsDir() && isManifest(entry.Name()):
			files = append(files, path)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("the directory %s has no file that ends with .yaml, .yml or .json (-R looks into directories below it)", name)
	}
	return files, err
}

// isManifest says whether a file of a directory holds manifests. A kustomization is a recipe for
// some, which -k builds.
func isManifest(name string) bool {
	extension := filepath.Ext(name)
	return slices.Contains([]string{".yaml", ".yml", ".json"}, extension) &&
		strings.TrimSuffix(name, extension) != "kustomization"
}

// build runs kustomize, as a library: no program is run, and nothing but the disk is read, as long
// as the kustomization names no remote resource.
func build(directory string) ([]document, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	if types.IsErrOnlyBuiltinPluginsAllowed(err) {
		return nil, fmt.Errorf("building the kustomization %s: it calls functions, and no program is run here: have kustomize build it, and give the result with -f -", directory)
	}
	if err != nil {
		return nil, fmt.Errorf("building the kustomization: %w", err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("writing what the kustomization %s builds: %w", directory, err)
	}
	documents := split("kustomization "+directory, text)
	for i := range documents {
		documents[i].built = true
	}
	return documents, nil
}
