package scene

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/lint/world"
)

// Scene is what a command looks at: manifests, a cluster, or manifests as they would be in a cluster.
type Scene struct {
	// input are the objects of manifests; live are those of the cluster, but for those that an object
	// of the input stands for.
	Input, Live []manifest.Object
	// whole says that these are all objects of a cluster. Otherwise there may be more elsewhere.
	whole bool
	// unread is what is wrong with documents of the input that could not be read, or nil. They may be
	// about anything.
	Unread error
	// strangers says that the input holds objects of kinds that are not known, which may stand for pods.
	strangers bool
	// leftOut are the findings of files that are no manifests.
	leftOut []manifest.Finding
}

// Objects are those of the input and of the cluster.
func (s *Scene) Objects() []manifest.Object { return slices.Concat(s.Input, s.Live) }

// SceneOptions are the flags that say what a command looks at.
type SceneOptions struct {
	Input   manifest.Input
	cluster *genericclioptions.ConfigFlags
	Managed ClusterOptions
	Live    bool
	// More are kinds that the input may hold besides.
	More []manifest.Kinds
	// Wants says what a cluster is asked for besides, as the input says.
	Wants func(input []manifest.Object) []Listing
	// Partly lets a scene have documents that could not be read.
	Partly bool
}

// AddFlags uses kubectl's names, but for --cluster, as in render.
func (o *SceneOptions) AddFlags(cmd *cobra.Command, live string) {
	o.Input.AddFlags(cmd)
	o.AddClusterFlags(cmd, live)
}

// AddClusterFlags adds the flags that choose a cluster.
func (o *SceneOptions) AddClusterFlags(cmd *cobra.Command, live string) {
	o.cluster = ClusterFlags()
	o.cluster.AddFlags(cmd.Flags())
	o.Managed.AddFlags(cmd)
	cmd.Flags().BoolVar(&o.Live, "cluster", false, live)
}

// Namespace is the namespace of objects that do not name one. Without --cluster it does not depend on
// kubectl's configuration.
func (o *SceneOptions) Namespace() (string, error) {
	if !o.Live {
		return cmp.Or(*o.cluster.Namespace, corev1.NamespaceDefault), nil
	}
	namespace, _, err := o.cluster.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("reading kubectl's configuration: %w (or give manifests with -f, and leave --cluster out)", err)
	}
	return namespace, nil
}

// GetLive asks the cluster for what is at a path of its API.
func (o *SceneOptions) GetLive(ctx context.Context, path string) ([]byte, error) {
	client, err := newClusterClient(o.cluster)
	if err != nil {
		return nil, err
	}
	return client.core.Discovery().RESTClient().Get().AbsPath(path).Do(ctx).Raw()
}

// Read returns the scene. Of a cluster, it lists what is wanted.
func (o *SceneOptions) Read(ctx context.Context, stdin io.Reader, namespace string, wanted ...Listing) (*Scene, *manifest.Decoder, error) {
	d := manifest.NewDecoder(namespace, slices.Concat(SnapshotKinds(), ReferenceKinds(), o.More)...)
	var unread error
	if o.Input.Given() || !o.Live {
		documents, err := o.Input.Read(stdin)
		if err != nil {
			return nil, nil, err
		}
		if unread = d.Decode(documents); unread != nil && !o.Partly {
			return nil, nil, unread
		}
	}
	s := &Scene{Input: d.Objects, whole: o.Live && unread == nil, Unread: unread, strangers: d.Strangers, leftOut: d.LeftOut}
	if !o.Live {
		return s, d, nil
	}
	client, err := newClusterClient(o.cluster)
	if err != nil {
		return nil, nil, err
	}
	if o.Wants != nil {
		wanted = Once(append(wanted, o.Wants(d.Objects)...))
	}
	for _, list := range wanted {
		objects, err := list.read(ctx, client)
		if err != nil {
			return nil, nil, err
		}
		s.addLive(objects)
	}
	return s, d, nil
}

// addLive adds objects of the cluster.
func (s *Scene) addLive(objects []manifest.Object) {
	for _, o := range objects {
		i := slices.IndexFunc(s.Input, func(given manifest.Object) bool { return given.Name == o.Name })
		if i < 0 {
			s.Live = append(s.Live, o)
			continue
		}
		keepWhatIsLive(s.Input[i], o)
	}
}

// keepWhatIsLive makes an object of the input what applying it would, where the cluster has one of its
// name: a Service keeps its addresses, an AppTier its age, pods and nodes what their status says.
func keepWhatIsLive(given, live manifest.Object) {
	switch o := given.Object.(type) {
	case *corev1.Service:
		if existing, ok := live.Object.(*corev1.Service); ok && len(o.Spec.ClusterIPs) == 0 {
			o.Spec.ClusterIP, o.Spec.ClusterIPs = existing.Spec.ClusterIP, existing.Spec.ClusterIPs
		}
	case *v1alpha1.AppTier:
		if existing, ok := live.Object.(*v1alpha1.AppTier); ok {
			o.CreationTimestamp = existing.CreationTimestamp
		}
	case *corev1.Pod:
		if existing, ok := live.Object.(*corev1.Pod); ok && o.Status.PodIP == "" {
			o.Status, o.Spec.NodeName = existing.Status, cmp.Or(o.Spec.NodeName, existing.Spec.NodeName)
		}
	case *corev1.Node:
		if existing, ok := live.Object.(*corev1.Node); ok && len(o.Status.Addresses) == 0 {
			o.Status = existing.Status
		}
	}
}

// HandWritten returns the NetworkPolicies that no AppTier generated.
func HandWritten(objects []manifest.Object) []manifest.Object {
	return slices.DeleteFunc(slices.Clone(objects), func(o manifest.Object) bool {
		policy, ok := o.Object.(*networkingv1.NetworkPolicy)
		return !ok || isGeneratedIn(o, policy)
	})
}

// StagedByHand returns the StagedNetworkPolicies that no AppTier generated.
func StagedByHand(objects []manifest.Object) []manifest.Object {
	return slices.DeleteFunc(slices.Clone(objects), func(o manifest.Object) bool {
		policy, ok := o.Object.(*v1alpha1.StagedNetworkPolicy)
		return !ok || isGeneratedIn(o, policy.NetworkPolicy())
	})
}

// isGeneratedIn says whether a policy is an AppTier's: in manifests, by its labels. In a cluster, what
// only bears the labels may be an orphan, or pretend, and is judged at admission too.
func isGeneratedIn(o manifest.Object, policy *networkingv1.NetworkPolicy) bool {
	return world.IsGenerated(policy) && (!o.IsLive() || v1alpha1.OwnerOf(policy) != "")
}
