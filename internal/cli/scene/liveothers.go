package scene

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/apptier/apptier/internal/cli/manifest"
)

// readOthers lists the policies of a cluster that are not NetworkPolicies, of all kinds that its API server serves. A kind
// that may not be listed counts as one policy for everybody, so that no answer ignores it.
func readOthers(ctx context.Context, c *clusterClient) ([]manifest.Object, error) {
	lists, err := c.core.Discovery().ServerPreferredResources()
	var failed *discovery.ErrGroupDiscoveryFailed
	switch {
	case errors.As(err, &failed): // of the groups that answer, all is known
	case err != nil:
		return nil, fmt.Errorf("finding out which policies the cluster has: %w", err)
	}
	var out []manifest.Object
	for _, list := range lists {
		for _, resource := range list.APIResources {
			kind := schema.FromAPIVersionAndKind(list.GroupVersion, resource.Kind)
			if !manifest.IsOtherPolicy(kind) || !slices.Contains(resource.Verbs, "list") {
				continue
			}
			found, err := c.listOthers(ctx, kind, resource.Name)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	if failed != nil {
		for group := range failed.Groups {
			for _, name := range []string{"NetworkPolicy", "EgressFirewall"} {
				if kind := group.WithKind(name); manifest.IsOtherPolicy(kind) {
					out = append(out, notReadable(kind, "whose API does not answer"))
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b manifest.Object) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (c *clusterClient) listOthers(ctx context.Context, kind schema.GroupVersionKind, resource string) ([]manifest.Object, error) {
	list, err := c.dynamic.Resource(kind.GroupVersion().WithResource(resource)).List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return []manifest.Object{notReadable(kind, "which you may not list")}, nil
	case apierrors.IsNotFound(err): // the kind is being removed
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("listing %s: %w", resource, err)
	}
	items := make([]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		items[i] = &list.Items[i]
		items[i].SetGroupVersionKind(kind)
	}
	return liveObjects(kind.Kind, items), nil
}

// notReadable represents all policies of a kind, which may be for any pod: it does not say for which.
func notReadable(kind schema.GroupVersionKind, why string) manifest.Object {
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"ingress": []any{map[string]any{}},
		"egress": []any{map[string]any{}}}}}
	o.SetGroupVersionKind(kind)
	live := liveObjects(kind.Kind, []*unstructured.Unstructured{o})[0]
	live.Name = kind.Kind + " of " + kind.Group + ", " + why
	return live
}
