package krm

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/kustomize/kyaml/fn/framework"
	"sigs.k8s.io/kustomize/kyaml/kio/kioutil"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/lint/check"
)

// merge returns the list's items with exactly the wanted policies among those that were generated
// from its AppTiers. An existing policy is updated in place, so that a second run changes nothing and
// it stays in its file; new ones follow at the end.
func (f *function) merge(apps []scene.AppTier, wanted []runtime.Object) ([]*yaml.RNode, error) {
	toAdd, keys := map[policyKey]*yaml.RNode{}, make([]policyKey, 0, len(wanted))
	for _, policy := range wanted {
		node, err := policyNode(policy)
		if err != nil {
			return nil, fmt.Errorf("writing a policy: %w", err)
		}
		toAdd[keyOf(node)] = node
		keys = append(keys, keyOf(node))
	}
	if f.refuseTaken(toAdd); manifest.Count(f.findings, check.Reject) > 0 {
		return nil, nil
	}
	var items []*yaml.RNode
	for i, item := range f.items {
		if !isPolicy(item) {
			items = append(items, item)
			continue
		}
		key := keyOf(item)
		policy := toAdd[key]
		delete(toAdd, key)
		stays, err := f.mergeOne(i, policy, apps)
		if err != nil {
			return nil, fmt.Errorf("updating %s: %w", key, err)
		}
		if stays {
			items = append(items, item)
		}
	}
	for _, key := range keys {
		if toAdd[key] != nil {
			items = append(items, toAdd[key])
		}
	}
	return items, nil
}

// refuseTaken refuses policies of other people that have a wanted name.
func (f *function) refuseTaken(wanted map[policyKey]*yaml.RNode) {
	for i, item := range f.items {
		if isPolicy(item) && wanted[keyOf(item)] != nil && !isGenerated(item) {
			f.refuse(f.source(i), "it was not generated, but an AppTier of the list needs this name", "rename it")
		}
	}
}

// policyKey is what policies of a list are told apart by.
type policyKey struct {
	kind string
	types.NamespacedName
}

// String is "KIND NAMESPACE/NAME".
func (k policyKey) String() string { return k.kind + " " + k.NamespacedName.String() }

func keyOf(item *yaml.RNode) policyKey {
	return policyKey{item.GetKind(), types.NamespacedName{Namespace: item.GetNamespace(), Name: item.GetName()}}
}

func isGenerated(item *yaml.RNode) bool {
	return item.GetLabels()[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy
}

// mergeOne brings a policy of the list in line with what is wanted under its name, which may be
// nothing, and says whether it stays in the list.
func (f *function) mergeOne(i int, wanted *yaml.RNode, apps []scene.AppTier) (bool, error) {
	item := f.items[i]
	if wanted != nil {
		return true, update(item, wanted)
	}
	if !isGenerated(item) {
		return true, nil
	}
	from := item.GetLabels()[v1alpha1.LabelAppTier]
	stale := slices.ContainsFunc(apps, func(app scene.AppTier) bool { return app.Name == from && app.Namespace == item.GetNamespace() })
	if !stale {
		f.warn(f.source(i), fmt.Sprintf("it was generated from AppTier %s, which is not in the list", from),
			"add the AppTier, or remove the policy")
	}
	return !stale, nil
}

// update replaces what is generated of a policy, as applying it would: other labels, annotations and
// comments are someone else's.
func update(item, wanted *yaml.RNode) error {
	labels, wantedLabels := item.GetLabels(), wanted.GetLabels()
	for _, key := range slices.Sorted(maps.Keys(wantedLabels)) {
		if labels[key] == wantedLabels[key] {
			continue // setting it would move it
		}
		if err := item.PipeE(yaml.SetLabel(key, wantedLabels[key])); err != nil {
			return err
		}
	}
	spec, err := wanted.Pipe(yaml.Get("spec"))
	if err != nil {
		return err
	}
	item.SetApiVersion(wanted.GetApiVersion())
	return item.SetMapField(spec, "spec")
}

// policyNode writes a policy as render does.
func policyNode(policy runtime.Object) (*yaml.RNode, error) {
	text, err := k8syaml.Marshal(policy)
	if err != nil {
		return nil, err
	}
	return yaml.Parse(string(text))
}

// isPolicy says whether an item is of a kind that AppTiers are rendered as.
func isPolicy(item *yaml.RNode) bool {
	gvk := gvkOf(item)
	return gvk.Group == networkingv1.GroupName && gvk.Kind == "NetworkPolicy" ||
		gvk.Group == v1alpha1.GroupVersion.Group && gvk.Kind == "StagedNetworkPolicy"
}

// fileOf is the file of an item, if its annotations name it.
func fileOf(item *yaml.RNode) *framework.File {
	path, text, err := kioutil.GetFileAnnotations(item)
	if err != nil || path == "" {
		return nil
	}
	index, err := strconv.Atoi(text)
	if err != nil { // without one, it is the only one of its file
		index = 0
	}
	return &framework.File{Path: path, Index: index}
}
