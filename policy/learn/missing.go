package learn

import (
	"context"
	"fmt"
	"maps"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// half is one side of a flow that the AppTiers do not declare.
type half struct {
	*flow
	direction networkingv1.PolicyType
}

// near is the side whose AppTier has to declare it, and far the other.
func (h half) near() party {
	if h.direction == networkingv1.PolicyTypeEgress {
		return h.from
	}
	return h.to
}

func (h half) far() party {
	if h.direction == networkingv1.PolicyTypeEgress {
		return h.to
	}
	return h.from
}

// missing are the halves of flows that the AppTiers do not allow. Each workload has a pod that stands for its others.
func (l *learning) missing(ctx context.Context, flows []*flow) ([]half, error) {
	env := l.env
	env.AppTiers = maps.Clone(env.AppTiers)
	if env.AppTiers == nil {
		env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	}
	for _, app := range l.apps {
		env.AppTiers[kube.NameOf(app)] = app
	}
	// A namespace that is not among these is there, and may have any labels.
	snapshot := reach.Snapshot{Namespaces: l.in.Namespaces, PartialNamespaces: true}
	for _, app := range l.apps {
		snapshot.Policies = append(snapshot.Policies, expand.NetworkPolicies(app, env)...)
	}
	pods := map[*workload]types.NamespacedName{}
	for i, w := range l.resolver.workloads.all {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: fmt.Sprintf("w%d", i), Labels: w.labels}}
		twin := pod.DeepCopy() // what a pod sends itself is no matter of policies
		twin.Name += twinName
		snapshot.Pods = append(snapshot.Pods, pod, twin)
		pods[w] = kube.NameOf(pod)
	}
	evaluator := reach.New(snapshot)
	var out []half
	for _, f := range flows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		addresses := f.sortedAddresses()
		if len(addresses) == 0 {
			addresses = []netip.Addr{{}}
		}
		of := map[networkingv1.PolicyType]bool{}
		for _, address := range addresses {
			asked := reach.Flow{Protocol: f.protocol, Port: f.port}
			asked.Source, asked.Destination = endpoint(f.from, pods, address), endpoint(f.to, pods, address)
			if asked.Source == asked.Destination {
				asked.Destination.Pod.Name += twinName
			}
			result := evaluator.Allowed(asked)
			of[networkingv1.PolicyTypeEgress] = of[networkingv1.PolicyTypeEgress] || result.Egress.Verdict != reach.Allow
			of[networkingv1.PolicyTypeIngress] = of[networkingv1.PolicyTypeIngress] || result.Ingress.Verdict != reach.Allow
		}
		for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
			h := half{f, direction}
			isInNone := l.isLearned(h.near()) && len(l.tiersOf(h.near().workload)) == 0
			if l.isLearned(h.near()) && (of[direction] || isInNone) {
				out = append(out, h)
			}
		}
	}
	return out, nil
}

const twinName = "-twin"

func endpoint(p party, pods map[*workload]types.NamespacedName, address netip.Addr) reach.Endpoint {
	if p.workload != nil {
		return reach.Endpoint{Pod: pods[p.workload]}
	}
	if !address.IsValid() { // nodes and the API server may be known by what they are alone
		address = p.address
	}
	return reach.Endpoint{Address: address}
}
