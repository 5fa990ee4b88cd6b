package packets

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/internal/probe"
)

// LabelRun is on every pod that is made, with the run that made it.
const LabelRun = "test.apptier.dev/run"

// namePrefix begins the names of pods and containers that are made.
const namePrefix = "apptier-test-"

// neverReady is a condition that nobody ever sets: a pod that waits for it gets nothing from Services.
const neverReady = "test.apptier.dev/never-ready"

// startsWithin is how long a container may take to start, its image pulled.
const startsWithin = 2 * time.Minute

// Run is one run of the tests, whose pods and containers have its ID in their names.
type Run struct{ ID, Image string }

// name is that of the container of a job, and of its pod if that is made.
func (r Run) name(job int) string { return namePrefix + r.ID + "-" + strconv.Itoa(job) }

// limit is how long the kubelet lets a made pod be.
func limit(order probe.Order) time.Duration {
	return startsWithin + probe.Longest(len(order.Targets), order.Timeout, order.After)
}

// security is what the strictest of the Pod Security Standards asks for
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted).
func security() *corev1.SecurityContext {
	const nobody = 65532
	return &corev1.SecurityContext{
		RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](nobody), RunAsGroup: ptr.To[int64](nobody),
		AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true), Privileged: ptr.To(false),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// ephemeralPatch adds the container of a job to its pod (strategic merge, by the container's name).
func (r Run) ephemeralPatch(job int, order probe.Order) ([]byte, error) {
	container := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: r.name(job), Image: r.Image, ImagePullPolicy: corev1.PullIfNotPresent, Args: order.Args(), SecurityContext: security(),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ephemeralContainers": []corev1.EphemeralContainer{container}}})
	if err != nil {
		return nil, fmt.Errorf("writing the ephemeral container: %w", err)
	}
	return patch, nil
}

// pod is the one that is made for a job. Its namespace controls it, so that no ReplicaSet takes it for one of its own, and
// it never is ready, so that no Service sends to it. The kubelet ends it, even if nobody deletes it.
func (r Run) pod(number int, job Job) *corev1.Pod {
	labels := map[string]string{}
	for key, value := range job.Pod.Labels {
		labels[key] = value
	}
	labels[LabelRun] = r.ID
	little := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")}
	most := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("128Mi")}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Owner.Name, Name: r.name(number), Labels: labels,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Namespace", Name: job.Owner.Name, UID: job.Owner.UID, Controller: ptr.To(true),
			}},
		},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			ActiveDeadlineSeconds:         ptr.To(int64(limit(job.Order).Seconds())),
			TerminationGracePeriodSeconds: ptr.To[int64](0),
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			ReadinessGates:                []corev1.PodReadinessGate{{ConditionType: neverReady}},
			Containers: []corev1.Container{{
				Name: r.name(number), Image: r.Image, ImagePullPolicy: corev1.PullIfNotPresent, Args: job.Order.Args(),
				SecurityContext: security(), TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				Resources: corev1.ResourceRequirements{Requests: little, Limits: most},
			}},
		},
	}
}

// IsMade says whether a run made a pod. Its label alone does not: whoever may label pods could have others deleted, or overlooked.
func IsMade(pod *corev1.Pod) bool {
	run, owner := pod.Labels[LabelRun], metav1.GetControllerOf(pod)
	return run != "" && strings.HasPrefix(pod.Name, namePrefix+run+"-") && pod.Spec.ActiveDeadlineSeconds != nil &&
		owner != nil && owner.Kind == "Namespace" && owner.Name == pod.Namespace
}

// LeftBehind are the pods that earlier runs made and did not delete: older than any of their kind may be. A run that goes on
// beside this one keeps its own.
func LeftBehind(pods []*corev1.Pod, now time.Time) []*corev1.Pod {
	const doubt = time.Minute // clocks differ
	var left []*corev1.Pod
	for _, pod := range pods {
		if !IsMade(pod) || pod.DeletionTimestamp != nil {
			continue
		}
		over := pod.CreationTimestamp.Add(time.Duration(ptr.Deref(pod.Spec.ActiveDeadlineSeconds, 0))*time.Second + doubt)
		if now.After(over) {
			left = append(left, pod)
		}
	}
	return left
}

// progressOf says how far the container of a job is: what it ended with, or why it does not start; neither while it is under way.
func progressOf(pod *corev1.Pod, container string) (ended *corev1.ContainerStateTerminated, stuck string) {
	for _, status := range append(pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses...) {
		if status.Name != container {
			continue
		}
		if waiting := status.State.Waiting; waiting != nil {
			switch waiting.Reason {
			case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "CreateContainerConfigError",
				"CreateContainerError", "RunContainerError": // k8s.io/kubernetes pkg/kubelet: events and images
				return nil, fmt.Sprintf("the probe does not start: %s: %s", waiting.Reason, waiting.Message)
			}
		}
		return status.State.Terminated, ""
	}
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded || pod.DeletionTimestamp != nil {
		return nil, "the pod ended before the probe did"
	}
	return nil, ""
}
