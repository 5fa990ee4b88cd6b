package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// identifier is a declaration of a package, as the documentation names it.
var identifier = regexp.MustCompile(`^([a-z0-9]+)\.([A-Za-z]\w*)$`)

// Every word of the glossary says where the code has it, and the code does.
func TestGlossary(t *testing.T) {
	declared := declarations(t)
	rows := read(t, root+"/docs/glossary.md").rows
	if len(rows) < 40 {
		t.Fatalf("only %d words", len(rows))
	}
	seen := map[string]bool{}
	for _, row := range rows {
		word := row[0]
		if seen[word] {
			t.Errorf("%s is explained twice", word)
		}
		seen[word] = true
		if len(row) != 4 || row[1] == "" || row[2] == "" {
			t.Errorf("%s: %q", word, row)
			continue
		}
		for name := range strings.SplitSeq(row[3], ", ") {
			if !declared[name] {
				t.Errorf("%s: nothing declares %q", word, name)
			}
		}
	}
}

// declarations are the names that packages of the project declare at their top, such as lint.Finding.
func declarations(t *testing.T) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	for _, top := range []string{"api", "policy", "enforcer", "controllers", "webhooks", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, declaration := range file.Decls {
				for _, name := range namesOf(declaration) {
					declared[file.Name.Name+"."+name] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return declared
}

func namesOf(declaration ast.Decl) []string {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		var names []string
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					names = append(names, name.Name)
				}
			}
		}
		return names
	}
	return nil
}
