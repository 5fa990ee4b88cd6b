package nodes

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/policy/kube"
)

// mostWithout is how many nodes without pods of a namespace are asked about it.
const mostWithout = 500

// Known finds the nodes to ask by what their enforcers report.
type Known struct {
	// Reader has pods and nodes.
	Reader client.Reader
	// Reports are where enforcers say that they answer. It is their word.
	Reports func(ctx context.Context) ([]Node, error)
	// Self is where the manager runs.
	Self Self
}

// Nodes are those to ask about a namespace, or about all without one: where it has pods now, and those of other nodes
// that report. The latter may have had pods of it, or may have denied others' pods the way to it.
func (k Known) Nodes(ctx context.Context, namespace string) (asked []Node, left int, err error) {
	byName, err := k.reported(ctx)
	if err != nil {
		return nil, 0, err
	}
	names, err := k.withPods(ctx, namespace, false)
	if err != nil {
		return nil, 0, err
	}
	asked = hosting(names, byName)
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		switch {
		case names[name]:
		case left > 0 || len(asked)-len(names) == mostWithout:
			left++
		default:
			asked = append(asked, byName[name])
		}
	}
	return asked, left, nil
}

// Hosting are the nodes that have pods of a namespace now, also finished ones, such as those of Jobs: these alone judge what
// its policies say.
func (k Known) Hosting(ctx context.Context, namespace string) (asked []Node, left int, err error) {
	byName, err := k.reported(ctx)
	if err != nil {
		return nil, 0, err
	}
	names, err := k.withPods(ctx, namespace, true)
	return hosting(names, byName), 0, err
}

// hosting are nodes by name, also those that do not report.
func hosting(names map[string]bool, byName map[string]Node) (out []Node) {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		node := byName[name]
		node.Name = name
		out = append(out, node)
	}
	return out
}

// reported are the nodes that report, by name, each with an address to ask it at, or why it is not asked.
func (k Known) reported(ctx context.Context) (map[string]Node, error) {
	reports, err := k.Reports(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading what enforcers report: %w", err)
	}
	addresses, err := k.addresses(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]Node{}
	for _, node := range reports {
		if node.Refused = refusal(node, addresses, k.Self); node.Refused != "" {
			node.Address = ""
		}
		byName[node.Name] = node
	}
	return byName, nil
}

// withPods are the nodes that have pods that policies may select, or could while they ran.
func (k Known) withPods(ctx context.Context, namespace string, finished bool) (map[string]bool, error) {
	var pods corev1.PodList
	if err := k.Reader.List(ctx, &pods, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("reading pods: %w", err)
	}
	names := map[string]bool{}
	for i := range pods.Items {
		if pod := &pods.Items[i]; pod.Spec.NodeName != "" && !pod.Spec.HostNetwork && (finished || !kube.Finished(pod)) {
			names[pod.Spec.NodeName] = true
		}
	}
	return names, nil
}

// addresses are those of nodes, by their names.
func (k Known) addresses(ctx context.Context) (map[string][]netip.Addr, error) {
	var list corev1.NodeList
	if err := k.Reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("reading nodes: %w", err)
	}
	out := map[string][]netip.Addr{}
	for i := range list.Items {
		node := &list.Items[i]
		for _, of := range node.Status.Addresses {
			if at, err := netip.ParseAddr(of.Address); err == nil { // others are names
				out[node.Name] = append(out[node.Name], at.Unmap())
			}
		}
	}
	return out, nil
}
