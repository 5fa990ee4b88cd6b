// Command chartgen writes the templates of charts/apptier that stand for objects of config/: kustomize and the chart have
// one source. What values change about the objects is written down in this package; its test holds the chart to what
// kustomize makes, for all values. It runs at the top of the repository.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// generated is the folder of the chart that holds nothing else than what is written here.
	generated = "charts/apptier/templates/generated"
	header    = "{{- /* Written by \"make generate\" from config/. */ -}}\n"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "chartgen:", err)
		os.Exit(1)
	}
}

func run(repository string) error {
	templates, err := templatesOf(repository)
	if err != nil {
		return err
	}
	dir := filepath.Join(repository, generated)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing the templates before: %w", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making the folder of templates: %w", err)
	}
	for name, text := range templates {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing a template: %w", err)
		}
	}
	return nil
}

// templatesOf are the templates by the names of their files.
func templatesOf(repository string) (map[string]string, error) {
	objects, err := objectsOf(repository)
	if err != nil {
		return nil, err
	}
	templates := map[string]string{}
	for _, o := range objects {
		edit(o)
		text, err := o.template()
		if err != nil {
			return nil, fmt.Errorf("making a template: %w", err)
		}
		name := fileName(o)
		if _, taken := templates[name]; taken {
			return nil, fmt.Errorf("two objects are to be %s", name)
		}
		templates[name] = header + text
	}
	return templates, nil
}

// fileName is apptier-manager.deployment.yaml, with the namespace in front where it is the enforcer's.
func fileName(o *object) string {
	name := strings.TrimPrefix(o.GetName(), "apptier-")
	if o.GetNamespace() == enforcerNamespace && !strings.HasPrefix(name, "enforcer") {
		name = "enforcer-" + name
	}
	return name + "." + strings.ToLower(o.GetKind()) + ".yaml"
}
