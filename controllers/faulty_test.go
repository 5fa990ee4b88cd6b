package controllers

import (
	"context"
	"errors"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apptier/apptier/api/v1alpha1"
)

// fault is a way in which a request fails.
type fault string

const (
	failsBefore fault = "fails before it takes effect"
	failsAfter  fault = "fails after it took effect"
	conflicts   fault = "conflicts with someone else's write"
)

var errInjected = errors.New("injected by the test")

// faulty is an API server whose request number countdown fails.
type faulty struct {
	t         *testing.T
	direct    client.WithWatch
	kind      fault
	countdown int
	namespace string
	// process is the manager, and cache what it sees of policies; nil after a crash.
	process *AppTierReconciler
	cache   []networkingv1.NetworkPolicy
	staged  []v1alpha1.StagedNetworkPolicy
	// since is what each spec allows, from the last that was in place to the present one.
	since []halves
}

// request makes a request, or fails. Requests without the name of a policy change none: how they
// fail makes no difference.
func (f *faulty) request(name string, do func() error) error {
	if name == "" && f.kind != failsBefore {
		return do()
	}
	f.countdown--
	switch {
	case f.countdown != 0:
		return do()
	case f.kind == failsAfter:
		return errors.Join(do(), errInjected)
	case f.kind == conflicts:
		return f.conflict(name, do)
	default:
		return errInjected
	}
}

// conflict has someone label a policy just before it is written. A policy that is not there yet
// cannot conflict, so that this is not a fault at all then.
func (f *faulty) conflict(name string, do func() error) error {
	policy := &networkingv1.NetworkPolicy{}
	policy.Namespace, policy.Name = f.namespace, name
	label := client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"labels": {"someone": "else"}}}`))
	staged := &v1alpha1.StagedNetworkPolicy{ObjectMeta: policy.ObjectMeta}
	return errors.Join(client.IgnoreNotFound(f.direct.Patch(context.Background(), policy, label)),
		client.IgnoreNotFound(f.direct.Patch(context.Background(), staged, label)), do())
}

// reader answers reads of policies.
type reader func(ctx context.Context, into *networkingv1.NetworkPolicyList, options client.ListOptions) error

// listed answers from the API server.
func (f *faulty) listed(ctx context.Context, into *networkingv1.NetworkPolicyList, options client.ListOptions) error {
	return f.request("", func() error { return f.direct.List(ctx, into, &options) })
}

// cached answers from the cache, which alone has an index of owners.
func (f *faulty) cached(_ context.Context, into *networkingv1.NetworkPolicyList, options client.ListOptions) error {
	for _, policy := range f.cache {
		if options.FieldSelector == nil || options.FieldSelector.Matches(fields.Set{ownerField: v1alpha1.OwnerOf(&policy)}) {
			into.Items = append(into.Items, *policy.DeepCopy())
		}
	}
	return nil
}

// ofStaged answers reads of staged policies from the API server for one that listed answers for, else from the cache.
func (f *faulty) ofStaged(ctx context.Context, into *v1alpha1.StagedNetworkPolicyList, options client.ListOptions) error {
	if options.FieldSelector == nil {
		return f.request("", func() error { return f.direct.List(ctx, into, &options) })
	}
	for _, policy := range f.staged {
		if options.FieldSelector.Matches(fields.Set{ownerField: v1alpha1.OwnerOf(&policy)}) {
			into.Items = append(into.Items, *policy.DeepCopy())
		}
	}
	return nil
}

func (f *faulty) client(read reader) client.WithWatch {
	return interceptor.NewClient(f.direct, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			policy, ok := object.(*networkingv1.NetworkPolicy)
			if !ok {
				return f.request("", func() error { return c.Get(ctx, key, object, options...) })
			}
			var list networkingv1.NetworkPolicyList
			if err := read(ctx, &list, client.ListOptions{Namespace: key.Namespace}); err != nil {
				return err
			}
			for _, found := range list.Items {
				if found.Name == key.Name {
					*policy = found
					return nil
				}
			}
			return apierrors.NewNotFound(networkingv1.Resource("networkpolicies"), key.Name)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			var all client.ListOptions
			all.ApplyOptions(options)
			switch list := list.(type) {
			case *networkingv1.NetworkPolicyList:
				return read(ctx, list, all)
			case *v1alpha1.StagedNetworkPolicyList:
				return f.ofStaged(ctx, list, all)
			case *v1alpha1.AppTierList:
				return f.request("", func() error { return listDependents(ctx, c, list, all) })
			default:
				return f.request("", func() error { return c.List(ctx, list, options...) })
			}
		},
		Apply: func(ctx context.Context, c client.WithWatch, config runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			named, ok := config.(interface{ GetName() *string })
			if !ok {
				return errors.New("a configuration without a name")
			}
			defer f.check(ctx)
			return f.request(*named.GetName(), func() error { return c.Apply(ctx, config, options...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			defer f.check(ctx)
			return f.request(object.GetName(), func() error { return c.Delete(ctx, object, options...) })
		},
		SubResourceApply: func(ctx context.Context, c client.Client, name string, config runtime.ApplyConfiguration, options ...client.SubResourceApplyOption) error {
			return f.request("", func() error { return c.SubResource(name).Apply(ctx, config, options...) })
		},
	})
}

// listDependents lists by an index that only caches have.
func listDependents(ctx context.Context, c client.Client, apps *v1alpha1.AppTierList, all client.ListOptions) error {
	if err := c.List(ctx, apps, client.InNamespace(all.Namespace)); err != nil || all.FieldSelector == nil {
		return err
	}
	entry, _ := all.FieldSelector.RequiresExactMatch(referenceField)
	apps.Items = slices.DeleteFunc(apps.Items, func(app v1alpha1.AppTier) bool { return !slices.Contains(dependencies(&app), entry) })
	return nil
}
