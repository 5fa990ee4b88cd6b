package cli

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
	"github.com/apptier/apptier/policy/lint"
)

// scene is what a command looks at: manifests, a cluster, or manifests as they would be in a cluster.
type scene struct {
	// input are the objects of manifests; live are those of the cluster, but for those that an object
	// of the input stands for.
	input, live []object
	// whole says that these are all objects of a cluster. Otherwise there may be more elsewhere.
	whole bool
	// unread is what is wrong with documents of the input that could not be read, or nil. They may be
	// about anything.
	unread error
	// strangers says that the input holds objects of kinds that are not known, which may stand for pods.
	strangers bool
	// leftOut are the findings of files that are no manifests.
	leftOut []finding
}

func (s *scene) objects() []object { return slices.Concat(s.input, s.live) }

// sceneOptions are the flags that say what a command looks at.
type sceneOptions struct {
	input   input
	cluster *genericclioptions.ConfigFlags
	managed clusterOptions
	live    bool
	// partly lets a scene have documents that could not be read.
	partly bool
}

// addFlags uses kubectl's names, but for --cluster, as in render.
func (o *sceneOptions) addFlags(cmd *cobra.Command, live string) {
	o.cluster = clusterFlags()
	o.input.addFlags(cmd)
	o.cluster.AddFlags(cmd.Flags())
	o.managed.addFlags(cmd)
	cmd.Flags().BoolVar(&o.live, "cluster", false, live)
}

// namespace is that of objects which do not say theirs. The input alone does not depend on whatever
// cluster kubectl happens to be configured for.
func (o *sceneOptions) namespace() (string, error) {
	if !o.live {
		return cmp.Or(*o.cluster.Namespace, corev1.NamespaceDefault), nil
	}
	namespace, _, err := o.cluster.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("reading kubectl's configuration: %w (or give manifests with -f, and leave --cluster out)", err)
	}
	return namespace, nil
}

// read returns the scene. Of a cluster, it lists what is wanted.
func (o *sceneOptions) read(ctx context.Context, stdin io.Reader, namespace string, wanted ...listing) (*scene, *decoder, error) {
	d := newDecoder(namespace, slices.Concat(snapshotKinds(), referenceKinds())...)
	var unread error
	if o.input.given() || !o.live {
		documents, err := o.input.read(stdin)
		if err != nil {
			return nil, nil, err
		}
		if unread = d.decode(documents); unread != nil && !o.partly {
			return nil, nil, unread
		}
	}
	s := &scene{input: d.objects, whole: o.live && unread == nil, unread: unread, strangers: d.strangers, leftOut: d.leftOut}
	if !o.live {
		return s, d, nil
	}
	client, err := newClusterClient(o.cluster)
	if err != nil {
		return nil, nil, err
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
func (s *scene) addLive(objects []object) {
	for _, o := range objects {
		i := slices.IndexFunc(s.input, func(given object) bool { return given.name == o.name })
		if i < 0 {
			s.live = append(s.live, o)
			continue
		}
		keepWhatIsLive(s.input[i], o)
	}
}

// keepWhatIsLive makes an object of the input what applying it would, where the cluster has one of its
// name: a Service keeps its addresses, an AppTier its age, pods and nodes what their status says.
func keepWhatIsLive(given, live object) {
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

// handWritten returns the NetworkPolicies that no AppTier stands for.
func handWritten(objects []object) []object {
	var out []object
	for _, o := range objects {
		if policy, ok := o.Object.(*networkingv1.NetworkPolicy); ok && !isGeneratedIn(o, policy) {
			out = append(out, o)
		}
	}
	return out
}

// isGeneratedIn says whether a policy is an AppTier's: in manifests, by its labels. In a cluster, what
// only bears the labels may be an orphan, or pretend, and is judged at admission too.
func isGeneratedIn(o object, policy *networkingv1.NetworkPolicy) bool {
	return lint.IsGenerated(policy) && (!o.isLive() || v1alpha1.OwnerOf(policy) != "")
}
