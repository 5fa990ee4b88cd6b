package scene

import (
	"fmt"
	"io"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// Strangers are pods that nobody gave and that could be: those that workloads would make of which there is none, one
// without labels in each namespace, and one in a namespace that is not there.
func (s *Scene) Strangers() []StandIn {
	var out []StandIn
	for _, o := range s.Objects() {
		workload := kube.WorkloadOf(o.Object)
		if workload != nil && len(workload.Pods) > 0 && !slices.ContainsFunc(s.pods(workload.Pods[0].Namespace), workload.Makes) {
			out = append(out, standInsFor(workload)...)
		}
	}
	names := append(slices.Sorted(maps.Keys(NamespacesOf(s))), AnotherNamespace)
	for _, name := range names {
		out = append(out, stranger(name, nil))
	}
	return out
}

// NamespacesOf are the names of the namespaces that some scenes have: as an object, or because an object is in them.
func NamespacesOf(scenes ...*Scene) map[string]bool {
	out := map[string]bool{}
	for _, s := range scenes {
		for _, o := range s.Objects() {
			accessor, err := meta.Accessor(o.Object)
			if err != nil {
				continue
			}
			if _, isNamespace := o.Object.(*corev1.Namespace); isNamespace {
				out[accessor.GetName()] = true
			} else if in := accessor.GetNamespace(); in != "" {
				out[in] = true
			}
		}
	}
	return out
}

// AnotherNamespace is the name of one that is not there.
const AnotherNamespace = "another-namespace"

// stranger is a pod of some labels. Its name says so: no pod's has a space.
func stranger(namespace string, set map[string]string) StandIn {
	name := "any pod"
	if len(set) > 0 {
		name += " labelled " + report.LabelWords(set)
	}
	return StandIn{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: set}}}
}

// Described are pods that are as policies and their peers ask for and have no other labels, and the namespaces that some
// of them are in, where none that is given is as asked for. Of the namespaces that are there, no labels are made up.
func Described(snapshot reach.Snapshot, there map[string]bool) (pods []StandIn, namespaces []*corev1.Namespace) {
	seen := map[string]bool{}
	addPod := func(p StandIn) {
		if key := p.Namespace + "/" + p.Name; !seen[key] {
			seen[key] = true
			pods = append(pods, p)
		}
	}
	for _, policy := range snapshot.Policies {
		for _, set := range labelSetsFor(&policy.Spec.PodSelector) {
			addPod(stranger(policy.Namespace, set))
		}
		for _, peer := range peersOf(policy) {
			in, made := namespacesFor(snapshot, there, policy.Namespace, peer.NamespaceSelector)
			if made != nil && !seen[made.Name] {
				seen[made.Name] = true
				namespaces = append(namespaces, made)
			}
			for _, namespace := range in {
				for _, set := range labelSetsFor(peer.PodSelector) {
					addPod(stranger(namespace, set))
				}
			}
		}
	}
	return pods, namespaces
}

// peersOf are the peers of a policy that select pods.
func peersOf(policy *networkingv1.NetworkPolicy) []networkingv1.NetworkPolicyPeer {
	var out []networkingv1.NetworkPolicyPeer
	for _, rule := range kube.AllRules(policy) {
		out = append(out, rule.Peers...)
	}
	return slices.DeleteFunc(out, func(peer networkingv1.NetworkPolicyPeer) bool {
		return peer.PodSelector == nil && peer.NamespaceSelector == nil
	})
}

// namespacesFor are the names of the namespaces that a selector of a policy finds, its own without one; where it finds
// none, of one that is made as it asks.
func namespacesFor(snapshot reach.Snapshot, there map[string]bool, own string,
	selector *metav1.LabelSelector) (names []string, made *corev1.Namespace) {
	if selector == nil {
		return []string{own}, nil
	}
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, nil
	}
	for _, namespace := range snapshot.Namespaces {
		if matches.Matches(labels.Merge(namespace.Labels, labels.Set{corev1.LabelMetadataName: namespace.Name})) {
			names = append(names, namespace.Name)
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	set := labelsFor(selector)
	name := set[corev1.LabelMetadataName]
	if name == "" {
		name = "a namespace labelled " + report.LabelWords(set)
	}
	// What the labels of a namespace are that is there, or that somebody asks about, only its object says.
	if there[name] || slices.ContainsFunc(snapshot.Pods, func(pod *corev1.Pod) bool { return pod.Namespace == name }) {
		return []string{name}, nil
	}
	return []string{name}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: set}}
}

// labelSetsFor are the fewest labels that a selector asks for: one set for each value that it leaves a choice of.
func labelSetsFor(selector *metav1.LabelSelector) []map[string]string {
	sets := []map[string]string{{}}
	if selector == nil {
		return sets
	}
	sets[0] = labelsFor(selector)
	for _, requirement := range selector.MatchExpressions {
		if requirement.Operator != metav1.LabelSelectorOpIn {
			continue
		}
		var more []map[string]string
		for _, set := range sets {
			for _, value := range requirement.Values {
				one := maps.Clone(set)
				one[requirement.Key] = value
				more = append(more, one)
			}
		}
		if sets = more; len(sets) > mostSets {
			return sets[:mostSets]
		}
	}
	return sets
}

// mostSets bounds the choices of values of several labels, which multiply.
const mostSets = 64

// leavesMore says whether a selector leaves a choice of more than mostSets.
func leavesMore(selector *metav1.LabelSelector) bool {
	if selector == nil {
		return false
	}
	choices := 1
	for _, requirement := range selector.MatchExpressions {
		if requirement.Operator == metav1.LabelSelectorOpIn {
			if choices *= len(requirement.Values); choices > mostSets {
				return true
			}
		}
	}
	return false
}

// TellPartly says of which policies Described has no pod for each choice of labels that they leave.
func TellPartly(w io.Writer, snapshot reach.Snapshot) {
	for _, policy := range snapshot.Policies {
		leave := leavesMore(&policy.Spec.PodSelector)
		for _, peer := range peersOf(policy) {
			leave = leave || leavesMore(peer.PodSelector)
		}
		if leave {
			fmt.Fprintf(w, "note: NetworkPolicy %s/%s leaves a choice of more than %d combinations of labels: "+
				"of pods that are not given, the first %d of them are asked about\n",
				policy.Namespace, policy.Name, mostSets, mostSets)
		}
	}
}
