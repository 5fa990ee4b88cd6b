// Package patterns holds the situations that guides to NetworkPolicy keep coming back to: each is a
// sample AppTier and a truth table of who reaches whom. policy/reach judges the tables in its tests,
// real packets on the embedded cluster do too, and docs/patterns.md is made of them.
package patterns

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
)

// Where the files of the patterns are in the repository.
const (
	SampleDir = "config/samples/patterns"
	TableDir  = "test/patterns/testdata"
)

// Pattern is a sample and what must hold where it is applied.
type Pattern struct {
	// Name is that of its files, such as 02-tier-isolation.
	Name string
	// Use says in a sentence when to use it: the comment that the sample begins with.
	Use string
	// Sample is the YAML after that comment.
	Sample string
	// AppTiers are those of the sample, in its order.
	AppTiers []*v1alpha1.AppTier
	Table    Table
}

// Load reads every pattern of the repository, in the order of their names.
func Load(repository string) ([]Pattern, error) {
	samples, err := filepath.Glob(filepath.Join(repository, SampleDir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	tables, err := filepath.Glob(filepath.Join(repository, TableDir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(samples) == 0 || len(samples) != len(tables) {
		return nil, fmt.Errorf("%d samples in %s and %d tables in %s: there must be one table for each sample", len(samples), SampleDir, len(tables), TableDir)
	}
	var patterns []Pattern
	for _, path := range samples {
		p, err := load(repository, strings.TrimSuffix(filepath.Base(path), ".yaml"))
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// modeline tells editors the schema, and is no part of what people copy from the documentation.
const modeline = "# yaml-language-server: $schema=../../../schemas/apptier-v1alpha1.json\n"

func load(repository, name string) (Pattern, error) {
	p := Pattern{Name: name}
	sample, err := os.ReadFile(filepath.Join(repository, SampleDir, name+".yaml"))
	if err != nil {
		return p, err
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(string(sample), modeline), "\n")
	use, isComment := strings.CutPrefix(first, "# ")
	if !isComment || !strings.HasSuffix(use, ".") {
		return p, fmt.Errorf("%s/%s.yaml: does not begin with a comment of one sentence", SampleDir, name)
	}
	p.Use, p.Sample = use, rest
	if p.AppTiers, err = appTiers(sample); err != nil {
		return p, fmt.Errorf("%s/%s.yaml: %w", SampleDir, name, err)
	}
	if p.Table, err = readTable(filepath.Join(repository, TableDir, name+".yaml")); err != nil {
		return p, fmt.Errorf("%s/%s.yaml: %w", TableDir, name, err)
	}
	return p, nil
}

// appTiers decodes each document of a sample.
func appTiers(text []byte) ([]*v1alpha1.AppTier, error) {
	var apps []*v1alpha1.AppTier
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return apps, nil
		}
		if err != nil {
			return nil, err
		}
		app := &v1alpha1.AppTier{}
		if err := yaml.UnmarshalStrict(document, app); err != nil {
			return nil, err
		}
		apps = append(apps, app)
	}
}

// Policies are what AppTiers stand for beside each other, in the given environment.
func Policies(apps []*v1alpha1.AppTier, env expand.Environment) []*networkingv1.NetworkPolicy {
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	for _, app := range apps {
		env.AppTiers[kube.NameOf(app)] = app
	}
	var policies []*networkingv1.NetworkPolicy
	for _, app := range apps {
		policies = append(policies, expand.NetworkPolicies(app, env)...)
	}
	return policies
}

// Named returns the AppTiers of the sample that have these names.
func (p Pattern) Named(names []string) ([]*v1alpha1.AppTier, error) {
	var found []*v1alpha1.AppTier
	for _, app := range p.AppTiers {
		for _, name := range names {
			if kube.NameOf(app).String() == name {
				found = append(found, app)
			}
		}
	}
	if len(found) != len(names) {
		return nil, fmt.Errorf("%s: the sample does not hold each of the AppTiers %s", p.Name, strings.Join(names, ", "))
	}
	return found, nil
}
