package manifest

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
)

// StdinName is what people know standard input by.
const StdinName = "standard input"

// Input is the flags that say where manifests are.
type Input struct {
	files     []string
	kustomize string
	recursive bool
	// shown is what people know a file by; nil for its name.
	shown func(file string) string
}

// InputOf is what a file, a directory with all that is in it, a kustomization, or - for standard input says. Shown
// is what people know its files by; nil for their names.
func InputOf(name string, shown func(file string) string) Input {
	in := Input{files: []string{name}, recursive: true, shown: shown}
	for _, recipe := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		if _, err := os.Stat(filepath.Join(name, recipe)); err == nil {
			in.files, in.kustomize = nil, name
		}
	}
	return in
}

// AddFlags uses kubectl's names.
func (in *Input) AddFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVarP(&in.files, "filename", "f", nil, "A file or a directory with manifests, or - for standard input. May be repeated.")
	flags.StringVarP(&in.kustomize, "kustomize", "k", "",
		"A directory with a kustomization.yaml to build. With -f, its manifests are added to those files.")
	flags.BoolVarP(&in.recursive, "recursive", "R", false, "Read the directories of -f and the directories below them.")
}

// AddFiles adds files and directories that are given as arguments, as those of -f are.
func (in *Input) AddFiles(names ...string) { in.files = append(in.files, names...) }

// Given says whether there is any input to read.
func (in *Input) Given() bool { return len(in.files) > 0 || in.kustomize != "" }

// ReadsStdin says whether standard input is among it.
func (in *Input) ReadsStdin() bool { return slices.Contains(in.files, "-") }

// Read returns every document of the input. Its error names everything that cannot be read.
func (in *Input) Read(stdin io.Reader) ([]Document, error) {
	if !in.Given() {
		return nil, errors.New("no input: give manifests with -f FILE, -f DIRECTORY or -f -, or a kustomization with -k DIRECTORY")
	}
	var documents []Document
	var problems []error
	if in.kustomize != "" {
		built, err := build(in.kustomize)
		documents, problems = built, append(problems, err)
	}
	for _, name := range in.files {
		found, err := in.readOne(stdin, name)
		documents = append(documents, found...)
		problems = append(problems, err)
	}
	if in.shown != nil {
		for i := range documents {
			documents[i].File = in.shown(documents[i].File)
			if from := documents[i].From; from != nil {
				from.Document.File = in.shown(from.Document.File)
			}
		}
	}
	return documents, errors.Join(problems...)
}

// readOne reads what one -f names.
func (in *Input) readOne(stdin io.Reader, name string) ([]Document, error) {
	if name == "-" {
		text, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", StdinName, err)
		}
		return Split(StdinName, text), nil
	}
	if strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://") {
		return nil, fmt.Errorf("-f %s is an address: give files with -f, as in curl -sSL %s | kubectl apptier lint -f -", name, name)
	}
	files, err := in.manifests(name)
	if err != nil {
		return nil, err
	}
	patches := patchesOf(files)
	var documents []Document
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err // it names the file and the reason
		}
		found := Split(file, text)
		for i := range found {
			found[i].among, found[i].patchOf = file != name, patches[filepath.Clean(file)]
		}
		documents = append(documents, found...)
	}
	return documents, nil
}

// manifests returns the files that a name stands for: itself, or, of a directory, those that
// kubectl would read.
func (in *Input) manifests(name string) ([]string, error) {
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
