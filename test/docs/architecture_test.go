package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/apptier/apptier/"

var (
	room  = regexp.MustCompile(`^ +(\w+)\["([\w/-]+)[<"]`)
	arrow = regexp.MustCompile(`^ +(\w+) (-->|-\.->) ([\w &]+)$`)
)

// The picture has every package of the core and of the enforcer, and its arrows are imports.
func TestThePictureIsTheCode(t *testing.T) {
	rooms, arrows := picture(t)
	drawn := map[string]bool{}
	for _, folder := range rooms {
		drawn[folder] = true
	}
	for _, pattern := range []string{"policy/*/*.go", "enforcer/*/*.go", "cmd/*/*.go", "controllers/*.go", "webhooks/*.go"} {
		files, err := filepath.Glob(root + "/" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			if folder := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), root+"/"); !drawn[folder] {
				t.Errorf("the picture lacks %s", folder)
				drawn[folder] = true
			}
		}
	}
	for _, a := range arrows {
		switch from, to := rooms[a.from], rooms[a.to]; {
		case from == "" || to == "":
			t.Errorf("%s to %s: no such room", a.from, a.to)
		case !imports(t, from, to, a.tests):
			t.Errorf("%s does not import %s", from, to)
		}
	}
}

type edge struct {
	from, to string
	tests    bool
}

// picture are the rooms by their short names, and the arrows between them.
func picture(t *testing.T) (rooms map[string]string, arrows []edge) {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "```mermaid\n")
	drawing, _, _ := strings.Cut(after, "```")
	rooms = map[string]string{}
	for line := range strings.Lines(drawing) {
		line = strings.TrimSuffix(line, "\n")
		if match := room.FindStringSubmatch(line); match != nil {
			rooms[match[1]] = match[2]
		}
		if match := arrow.FindStringSubmatch(line); match != nil {
			for to := range strings.SplitSeq(match[3], " & ") {
				arrows = append(arrows, edge{match[1], to, match[2] != "-->"})
			}
		}
	}
	if len(rooms) < 20 || len(arrows) < 30 {
		t.Fatalf("%d rooms and %d arrows", len(rooms), len(arrows))
	}
	return rooms, arrows
}

// imports tells whether a file of a folder, or below it, imports a package or what is below that.
func imports(t *testing.T, folder, what string, tests bool) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") != tests {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported := strings.Trim(spec.Path.Value, `"`) + "/"
			found = found || strings.HasPrefix(imported, module+what+"/")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What the page names, the code has.
func TestNamesOfTheArchitecture(t *testing.T) {
	declared := declarations(t)
	names := 0
	for _, name := range read(t, root+"/docs/architecture.md").code {
		if first, _, isPath := strings.Cut(name, "/"); isPath && !strings.Contains(name, " ") {
			if _, err := os.Stat(filepath.Join(root, first)); err != nil {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("no %s", name)
			}
			names++
		} else if identifier.MatchString(name) {
			if !declared[name] {
				t.Errorf("nothing declares %s", name)
			}
			names++
		}
	}
	if names < 15 {
		t.Errorf("only %d names", names)
	}
}
