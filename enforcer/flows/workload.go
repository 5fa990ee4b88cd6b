package flows

import (
	"strings"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Workload is what owns a pod, as kind/name, such as Deployment/web. Pods share them.
type Workload = unique.Handle[string]

// WorkloadOf reads a pod's owner. A ReplicaSet with the name that a Deployment gives, which ends with the label
// pod-template-hash of its pods, is taken for that Deployment's: to look it up would need the right to read all of them.
// See https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template-hash-label.
func WorkloadOf(pod *corev1.Pod) Workload {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return unique.Make("")
	}
	if hash := pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; owner.Kind == "ReplicaSet" && hash != "" {
		if deployment, ok := strings.CutSuffix(owner.Name, "-"+hash); ok && deployment != "" {
			return named("Deployment", deployment)
		}
	}
	return named(owner.Kind, owner.Name)
}

// named is a workload, or none if these are no names: whoever makes a pod may write anything into its references.
func named(kind, name string) Workload {
	if len(validation.IsDNS1123Label(strings.ToLower(kind))) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return unique.Make("")
	}
	return unique.Make(kind + "/" + name)
}
