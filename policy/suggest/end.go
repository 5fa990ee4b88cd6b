package suggest

import (
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// end is an end of a flow.
type end struct {
	// pod is nil for what is not on the pod network.
	pod     *corev1.Pod
	address netip.Addr
	// tiers are those that the pod is in.
	tiers []tierRef
}

// tierRef is a tier of an AppTier.
type tierRef struct {
	app   *v1alpha1.AppTier
	index int
}

func (t tierRef) tier() *v1alpha1.Tier { return &t.app.Spec.Tiers[t.index] }

func newQuestion(world World, flow reach.Flow, result reach.Result) *question {
	q := &question{World: world, flow: flow, result: result}
	q.source, q.destination = q.end(flow.Source), q.end(flow.Destination)
	return q
}

func (q *question) end(endpoint reach.Endpoint) end {
	pod := podOf(q.Snapshot.Pods, endpoint)
	if pod == nil || pod.Spec.HostNetwork {
		return end{address: addressOf(pod, endpoint)}
	}
	e := end{pod: pod}
	for _, app := range q.AppTiers {
		for i := range app.Spec.Tiers {
			selector, err := metav1.LabelSelectorAsSelector(&app.Spec.Tiers[i].PodSelector)
			if err == nil && app.Namespace == pod.Namespace && selector.Matches(labels.Set(pod.Labels)) {
				e.tiers = append(e.tiers, tierRef{app, i})
			}
		}
	}
	return e
}

// podOf is the pod that an endpoint names, or that owns its address.
func podOf(pods []*corev1.Pod, endpoint reach.Endpoint) *corev1.Pod {
	i := slices.IndexFunc(pods, func(pod *corev1.Pod) bool {
		if endpoint.Pod != (types.NamespacedName{}) {
			return pod.Namespace == endpoint.Pod.Namespace && pod.Name == endpoint.Pod.Name
		}
		return !kube.Finished(pod) && !pod.Spec.HostNetwork && slices.Contains(kube.Addresses(pod), endpoint.Address.Unmap())
	})
	if i < 0 {
		return nil
	}
	return pods[i]
}

// addressOf is the address of an end that is not on the pod network; the invalid one if it has none.
func addressOf(pod *corev1.Pod, endpoint reach.Endpoint) netip.Addr {
	if endpoint.Address.IsValid() || pod == nil {
		return endpoint.Address.Unmap()
	}
	for _, address := range kube.Addresses(pod) {
		return address
	}
	return netip.Addr{}
}

// volatile are labels that a controller gives to one pod, or to one generation of pods.
var volatile = []string{
	"pod-template-hash", "controller-revision-hash", "pod-template-generation", "controller-uid", "job-name",
	"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
	"batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index",
}

// StableLabels are the labels of a pod that its successors have too. Pods of a Job that have none bear
// the Job's name; those of a CronJob's Jobs bear another one each time. Where nothing is left, no selector can tell the
// pod from others of its namespace.
func StableLabels(pod *corev1.Pod) map[string]string {
	out := map[string]string{}
	for key, value := range pod.Labels {
		if !slices.Contains(volatile, key) {
			out[key] = value
		}
	}
	if job := pod.Labels[batchv1.JobNameLabel]; len(out) == 0 && job != "" {
		if _, _, isRun := kube.RunOf(job); !isRun {
			out[batchv1.JobNameLabel] = job
		}
	}
	return out
}

// baseName is what the pods of a workload have in common, as a DNS label. A pod that only stands in
// for one may be called as in deployment/web.
func baseName(pod *corev1.Pod) string {
	name := pod.Name[strings.LastIndex(pod.Name, "/")+1:]
	name, _, _ = strings.Cut(name, "[") // one of several that stand in
	if index := pod.Labels[appsv1.PodIndexLabel]; index != "" {
		name = strings.TrimSuffix(name, "-"+index)
	}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		name = owner.Name
		if hash := pod.Labels["pod-template-hash"]; hash != "" {
			name = strings.TrimSuffix(name, "-"+hash)
		}
	}
	name = strings.ReplaceAll(name, ".", "-")
	if len(name) > 40 {
		name = strings.TrimRight(name[:40], "-")
	}
	return name
}
