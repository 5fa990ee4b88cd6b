package nri

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
)

// Pod is what a container runtime knows about a pod with its own network.
type Pod struct {
	Namespace, Name, UID string
	// Labels are the labels that the pod had at its start.
	Labels map[string]string
	// Addresses are empty if the runtime does not tell them.
	Addresses []netip.Addr
}

func (p Pod) String() string { return p.Namespace + "/" + p.Name }

// podOf reads a sandbox. One on the network of its node has no pod to announce.
func podOf(sandbox *api.PodSandbox) (pod Pod, found bool, err error) {
	if onHostNetwork(sandbox) {
		return Pod{}, false, nil
	}
	pod = Pod{
		Namespace: sandbox.GetNamespace(), Name: sandbox.GetName(), UID: sandbox.GetUid(),
		Labels: labelsOf(sandbox),
	}
	for _, text := range sandbox.GetIps() {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return Pod{}, false, fmt.Errorf("the address of pod %s: %w", pod, err)
		}
		pod.Addresses = append(pod.Addresses, address.Unmap())
	}
	return pod, true, nil
}

// onHostNetwork says whether a sandbox has namespaces but no network namespace. The names of namespaces are those of the
// OCI runtime specification.
func onHostNetwork(sandbox *api.PodSandbox) bool {
	namespaces := sandbox.GetLinux().GetNamespaces()
	return len(namespaces) > 0 && !slices.ContainsFunc(namespaces, func(n *api.LinuxNamespace) bool { return n.GetType() == "network" })
}

// notThePods are prefixes of the labels that the kubelet and containerd add to a pod's own:
// k8s.io/kubernetes/pkg/kubelet/types/labels.go, containerd/internal/cri/labels.
var notThePods = []string{"io.kubernetes.pod.", "io.kubernetes.container.", "io.cri-containerd."}

func labelsOf(sandbox *api.PodSandbox) map[string]string {
	labels := maps.Clone(sandbox.GetLabels())
	maps.DeleteFunc(labels, func(name, _ string) bool {
		return slices.ContainsFunc(notThePods, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
	return labels
}
