package krm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/kustomize/kyaml/fn/framework"
	"sigs.k8s.io/kustomize/kyaml/kio/kioutil"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// function is one run of the KRM function.
type function struct {
	config fnConfig
	// items are those of the list as it came.
	items    []*yaml.RNode
	findings []manifest.Finding
}

// process adds the policies of a list's AppTiers to it, or nothing when something is refused. The
// results say why, and what else there is to say.
func (f *function) process(ctx context.Context, rl *framework.ResourceList) error {
	f.items = rl.Items
	items, err := f.expand(ctx)
	if err != nil {
		return err
	}
	rl.Results = f.results()
	if refused := scene.Refusal(f.findings); refused != nil {
		return refused
	}
	rl.Items = items
	return nil
}

// expand returns the list's items with the policies; once something is refused, they mean nothing.
func (f *function) expand(ctx context.Context) ([]*yaml.RNode, error) {
	objects, err := f.decode()
	if err != nil || manifest.Count(f.findings, check.Reject) > 0 {
		return nil, err
	}
	apps := scene.AppTiers(objects)
	out, err := scene.ExpandAll(ctx, apps, f.config.Settings, scene.InputWorld(objects))
	f.findings = append(f.findings, out.Findings...)
	if err != nil || manifest.Count(f.findings, check.Reject) > 0 {
		return nil, err
	}
	items, err := f.merge(apps, out.Generated())
	if !f.config.keepAppTiers {
		items = slices.DeleteFunc(items, func(item *yaml.RNode) bool { return gvkOf(item) == v1alpha1.GroupVersion.WithKind("AppTier") })
	}
	return items, err
}

// decode returns the objects of items that are AppTiers, or that those may refer to. What is wrong
// with them becomes findings. An object without a namespace has none: the client that applies it decides
// where it will be.
func (f *function) decode() ([]manifest.Object, error) {
	d := manifest.NewDecoder("", scene.ReferenceKinds()...)
	for i, item := range f.items {
		text, err := item.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("reading item %d of the ResourceList: %w", i+1, err)
		}
		source, known := f.source(i), len(d.Problems)
		if gvk := gvkOf(item); gvk.Kind == "List" || gvk.Kind == "AppTierList" {
			d.Add(source.Origin, text, schema.GroupVersionKind{}) // which refuses a list within a list
		} else {
			d.AddObject(source.Origin, text, gvk)
		}
		for _, err := range d.Problems[known:] {
			var p *manifest.Problem
			if errors.As(err, &p) {
				found := p.Finding()
				found.Source = source
				f.findings = append(f.findings, found)
			}
		}
	}
	return d.Objects, nil
}

// source is an item as findings name it. Its origin has no document, so only the item counts.
func (f *function) source(i int) manifest.Object {
	file := fmt.Sprintf("item %d of the ResourceList", i+1)
	if path, _, err := kioutil.GetFileAnnotations(f.items[i]); err == nil && path != "" {
		file = path
	}
	name := strings.TrimPrefix(keyOf(f.items[i]).NamespacedName.String(), "/")
	return manifest.Object{
		Origin: manifest.Origin{Document: manifest.Document{File: file, Built: true}, Item: i + 1},
		Name:   strings.TrimSpace(f.items[i].GetKind() + " " + name),
	}
}

func gvkOf(item *yaml.RNode) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(item.GetApiVersion(), item.GetKind())
}

func (f *function) refuse(source manifest.Object, message, fix string) {
	f.findings = append(f.findings,
		manifest.Finding{Source: source, Finding: check.Finding{Check: netpol.Invalid, Severity: check.Reject, Message: message, Fix: fix}})
}

func (f *function) warn(source manifest.Object, message, fix string) {
	f.findings = append(f.findings,
		manifest.Finding{Source: source, Finding: check.Finding{Check: netpol.Invalid, Severity: check.Warn, Message: message, Fix: fix}})
}

// results are the findings, in the words of the functions' specification.
func (f *function) results() framework.Results {
	var results framework.Results
	for _, found := range f.findings {
		result := &framework.Result{Message: found.Message, Severity: framework.Warning, Tags: map[string]string{"check": string(found.Check)}}
		if found.Fix != "" {
			result.Message += "; fix: " + found.Fix
		}
		if found.Severity == check.Reject {
			result.Severity = framework.Error
		}
		if found.Path != "" {
			result.Field = &framework.Field{Path: string(found.Path)}
		}
		item := f.items[found.Source.Origin.Item-1]
		result.ResourceRef = &yaml.ResourceIdentifier{
			TypeMeta: yaml.TypeMeta{APIVersion: item.GetApiVersion(), Kind: item.GetKind()},
			NameMeta: yaml.NameMeta{Name: item.GetName(), Namespace: item.GetNamespace()},
		}
		result.File = fileOf(item)
		results = append(results, result)
	}
	return results
}
