package suggest

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/reach"
)

// Opens returns what else is allowed in the changed world that was not before, on the flow's port: among the
// pods, the API server's addresses and the flow's own, each connection once. Only a pod that a changed policy
// selects has more than before, so that nobody else is asked about.
func Opens(before, after World, flow reach.Flow) []reach.Flow {
	was, is := reach.New(before.Snapshot), reach.New(after.Snapshot)
	source, destination := canonical(before, flow.Source), canonical(before, flow.Destination)
	var out []reach.Flow
	asked := map[reach.Flow]bool{}
	ask := func(from, to reach.Endpoint) {
		other := flow
		other.Source, other.Destination = from, to
		if from == to || from == source && to == destination || asked[other] {
			return
		}
		asked[other] = true
		if was.Allowed(other).Verdict != reach.Allow && is.Allowed(other).Verdict == reach.Allow {
			out = append(out, other)
		}
	}
	ends := before.ends(source, destination)
	for _, policy := range changedPolicies(before.Snapshot, after.Snapshot) {
		for _, subject := range selectedBy(policy, before.Snapshot.Pods) {
			for _, e := range ends {
				if slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
					ask(e, subject)
				}
				if slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
					ask(subject, e)
				}
			}
		}
	}
	return out
}

// canonical is an end by its pod, if it has one.
func canonical(w World, e reach.Endpoint) reach.Endpoint {
	if pod := podOf(w.Snapshot.Pods, e); pod != nil {
		return endpointOf(pod)
	}
	return e
}

func endpointOf(pod *corev1.Pod) reach.Endpoint {
	return reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}}
}

// ends are all ends that are known, each once.
func (w World) ends(more ...reach.Endpoint) []reach.Endpoint {
	var out []reach.Endpoint
	for _, pod := range w.Snapshot.Pods {
		out = append(out, endpointOf(pod))
	}
	for _, listener := range w.Environment.APIServer.Endpoints {
		for _, address := range listener.Addresses {
			out = append(out, reach.Endpoint{Address: address})
		}
	}
	for _, e := range more {
		if e.Address.IsValid() && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// changedPolicies are the new or changed policies.
func changedPolicies(before, after reach.Snapshot) []*networkingv1.NetworkPolicy {
	was := map[types.NamespacedName]*networkingv1.NetworkPolicy{}
	for _, policy := range before.Policies {
		was[types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name}] = policy
	}
	var out []*networkingv1.NetworkPolicy
	for _, policy := range after.Policies {
		old := was[types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name}]
		if old == nil || !equality.Semantic.DeepEqual(old.Spec, policy.Spec) {
			out = append(out, policy)
		}
	}
	return out
}

func selectedBy(policy *networkingv1.NetworkPolicy, pods []*corev1.Pod) []reach.Endpoint {
	selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
	if err != nil { // it selects nothing
		return nil
	}
	var out []reach.Endpoint
	for _, pod := range pods {
		if pod.Namespace == policy.Namespace && selector.Matches(labels.Set(pod.Labels)) {
			out = append(out, endpointOf(pod))
		}
	}
	return out
}
