package flows

import (
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/apptier/apptier/policy/kube"
)

// Workload is what owns a pod, as kind/name, such as Deployment/web. Pods share them.
type Workload = unique.Handle[string]

// WorkloadOf reads a pod's owner. It looks nothing up (see kube.OwnerOf): that would need the right to read all ReplicaSets
// and Jobs, and the memory to hold them.
func WorkloadOf(pod *corev1.Pod) Workload { return named(kube.OwnerOf(pod)) }

// named is a workload, or none if these are no names: whoever makes a pod may write anything into its references.
func named(kind, name string) Workload {
	if len(validation.IsDNS1123Label(strings.ToLower(kind))) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return unique.Make("")
	}
	return unique.Make(kind + "/" + name)
}
