package packets

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/kube"
)

// mostLeft is how many containers of earlier runs a pod may have: nobody can take them off it.
const mostLeft = 20

// source is the pod that a connection is tried from, or why there is none.
//
// A pod that runs is taken itself, by an ephemeral container: its labels, address and node are the real ones, and no
// controller or Service sees anything new. Only where none runs is one made.
func (p *planner) source(c Connection) (Job, string) {
	from := c.Flow.Source
	pod := p.pods[from.Pod]
	if from.Pod == (types.NamespacedName{}) {
		if pod = p.owner(c); pod == nil {
			return Job{}, "packets are sent from pods, and the source is none"
		}
	}
	switch {
	case pod == nil:
		return Job{}, "the source's pod is not there"
	case !p.Within[pod.Namespace]:
		return Job{}, "no case has a source in that namespace, and nothing is started there"
	case isStandIn(pod):
		return p.made(pod)
	default:
		return Job{Pod: pod}, cannotHold(pod)
	}
}

// owner is the pod whose address the source is.
func (p *planner) owner(c Connection) *corev1.Pod {
	for _, pod := range p.Pods {
		if !pod.Spec.HostNetwork && !c.Stands && slices.Contains(kube.Addresses(pod), c.Flow.Source.Address.Unmap()) {
			return pod
		}
	}
	return nil
}

func isStandIn(pod *corev1.Pod) bool { return scene.IsStandIn(pod) }

// cannotHold says why a pod takes no ephemeral container, or none of whose packets would say something; "" if it does.
func cannotHold(pod *corev1.Pod) string {
	_, isStatic := pod.Annotations[corev1.MirrorPodAnnotationKey]
	left := slices.DeleteFunc(slices.Clone(pod.Spec.EphemeralContainers), func(c corev1.EphemeralContainer) bool {
		return !strings.HasPrefix(c.Name, namePrefix)
	})
	switch {
	case pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil:
		return "the source's pod does not run"
	case isStatic:
		return "the source is a static pod, which takes no ephemeral container"
	case pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows:
		return "the source is a Windows pod, and the probe a program for Linux"
	case hasMesh(pod):
		return "a mesh's proxy in the source's pod accepts every connection itself"
	case len(left) >= mostLeft:
		return fmt.Sprintf("the source's pod has %d containers of earlier runs: replace the pod, and they are gone", len(left))
	default:
		return ""
	}
}

// hasMesh says whether what a pod's programs send goes to a proxy in the pod, which accepts it whatever becomes of it:
// the sidecars of Istio and Linkerd, and what ztunnel redirects.
func hasMesh(pod *corev1.Pod) bool {
	isProxy := func(c corev1.Container) bool { return c.Name == "istio-proxy" || c.Name == "linkerd-proxy" }
	return pod.Annotations["ambient.istio.io/redirection"] == "enabled" ||
		slices.ContainsFunc(slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers), isProxy)
}

// made is a job in a pod that is made like one that is not there. No pod that runs has its labels, so that nothing can be
// taken for one of them: neither by a Service, nor by what counts pods.
func (p *planner) made(like *corev1.Pod) (Job, string) {
	i := slices.IndexFunc(p.Namespaces, func(n *corev1.Namespace) bool { return n.Name == like.Namespace && n.UID != "" })
	if i < 0 {
		return Job{}, "there is no such namespace"
	}
	owner := p.Namespaces[i]
	switch {
	case owner.Status.Phase == corev1.NamespaceTerminating:
		return Job{}, "the namespace is being deleted"
	case len(like.Labels) > 0 && p.runs(like):
		return Job{}, "pods with these labels run: another one could be taken for one of them"
	}
	for _, service := range p.Services {
		if service.Namespace == like.Namespace && service.Spec.PublishNotReadyAddresses && len(service.Spec.Selector) > 0 &&
			labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(like.Labels)) {
			return Job{}, fmt.Sprintf("the Service %s/%s sends to pods that are not ready", service.Namespace, service.Name)
		}
	}
	// Several stand in where several would run, and one of them tries for all.
	key := like.Namespace + " " + labels.Set(like.Labels).String()
	if p.alike[key] == nil {
		p.alike[key] = like
	}
	return Job{Pod: p.alike[key], New: true, Owner: owner}, ""
}

// runs says whether a pod of the namespace that has not finished has all labels of another.
func (p *planner) runs(like *corev1.Pod) bool {
	selector := labels.SelectorFromSet(like.Labels)
	return slices.ContainsFunc(p.Pods, func(pod *corev1.Pod) bool {
		return pod.Namespace == like.Namespace && !isStandIn(pod) && !kube.Finished(pod) && selector.Matches(labels.Set(pod.Labels))
	})
}

// ownLabels are those that a workload's controller gives each pod a value of its own of.
var ownLabels = []string{appsv1.StatefulSetPodNameLabel, appsv1.PodIndexLabel, batchv1.JobCompletionIndexAnnotation}

// OneOfEach is one pod of each workload, one that runs if there is one, in the order of the pods. What is tried from one
// replica is not tried from all where nobody asked for it. Pods that policies may tell apart by their labels are no replicas.
func OneOfEach(pods []*corev1.Pod) []*corev1.Pod {
	first := map[types.NamespacedName]int{}
	var out []*corev1.Pod
	for _, pod := range pods {
		key := nameOf(pod)
		if owner := metav1.GetControllerOf(pod); owner != nil {
			set := maps.Clone(pod.Labels)
			maps.DeleteFunc(set, func(label, _ string) bool { return slices.Contains(ownLabels, label) })
			key.Name = owner.Kind + " " + owner.Name + " " + labels.Set(set).String()
		}
		i, found := first[key]
		switch {
		case !found:
			first[key] = len(out)
			out = append(out, pod)
		case cannotHold(out[i]) != "" && cannotHold(pod) == "":
			out[i] = pod
		}
	}
	return out
}
