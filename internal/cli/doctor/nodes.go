package doctor

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// nodes tells which nodes have no enforcer that is ready.
func nodes(f *Facts, _ time.Time) []Finding {
	if f.DaemonSets.Unread == "" && len(f.enforcers()) == 0 {
		return nil
	}
	if out := unread(checkNodes, f.Nodes.Unread, f.Pods.Unread, f.DaemonSets.Unread); out != nil {
		return out
	}
	without, behind, foreign := []string{}, []string{}, []string{}
	for _, node := range f.Nodes.Items {
		pods := slices.DeleteFunc(slices.Clone(f.Pods.Items), func(p corev1.Pod) bool {
			return !is(enforcer, p.Labels) || p.Spec.NodeName != node.Name
		})
		switch {
		case node.Labels[corev1.LabelOSStable] == "windows":
			foreign = append(foreign, node.Name)
		case len(pods) == 0:
			without = append(without, node.Name)
		case !slices.ContainsFunc(pods, ready):
			behind = append(behind, node.Name)
		}
	}
	var out []Finding
	add := func(of []string, status Status, message, fix string) {
		if len(of) > 0 {
			text := fmt.Sprintf(message, len(of), len(f.Nodes.Items))
			out = append(out, Finding{Check: checkNodes, Status: status, Objects: names("Node", of), Message: text, Fix: fix})
		}
	}
	add(without, Fail, "%d of %d nodes have no enforcer: nothing is filtered there, or by rules of long ago",
		"kubectl describe daemonset -n apptier-enforcer; see its nodeSelector and tolerations, and quotas of the namespace")
	add(behind, Fail, "on %d of %d nodes the enforcer is not ready: they filter by their last rules, if they have any",
		"kubectl get pods -n apptier-enforcer -o wide --field-selector spec.nodeName=NODE; kubectl describe node NODE; kubectl logs -n "+
			"apptier-enforcer POD")
	add(foreign, Warn, "%d of %d nodes run Windows, where the enforcer does not run",
		"keep pods that AppTiers are about off them, or have the network plugin enforce")
	if len(out) > 0 {
		return out
	}
	return pass(checkNodes, "all %d nodes have an enforcer that is ready", len(f.Nodes.Items))
}

func ready(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// gate tells of nodes whose pods are not closed until they are known.
func gate(f *Facts, _ time.Time) []Finding {
	if f.DaemonSets.Unread == "" && len(f.enforcers()) == 0 {
		return nil
	}
	if out := unread(checkGate, f.Nodes.Unread, f.DaemonSets.Unread); out != nil {
		return out
	}
	var open []string
	for _, node := range f.Nodes.Items {
		if len(node.Spec.PodCIDRs) == 0 && node.Spec.PodCIDR == "" && node.Labels[corev1.LabelOSStable] != "windows" {
			open = append(open, node.Name)
		}
	}
	if len(open) > 0 {
		return []Finding{{Check: checkGate, Status: Warn, Objects: names("Node", open),
			Message: fmt.Sprintf("%d of %d nodes have no spec.podCIDRs: a pod that starts there may be open until the enforcer knows "+
				"it, if the container runtime does not announce it",
				len(open), len(f.Nodes.Items)),
			Fix: "let the container runtime announce pods (NRI: containerd 2 does), or have ranges allocated (kube-controller-manager " +
				"--allocate-node-cidrs), " +
				"if pods get their addresses from them: " + documentation + "design/2026-11-21-closed-gate.md"}}
	}
	return pass(checkGate, "pods of all nodes are closed until the enforcer knows them")
}
