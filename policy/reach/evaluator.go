package reach

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Allowed says whether the snapshot's policies let the flow pass. For many flows of one snapshot,
// use [New] once.
func Allowed(snapshot Snapshot, flow Flow) Result {
	return New(snapshot).Allowed(flow)
}

// Evaluator answers for many flows of one snapshot. It is immutable, as long as nobody changes the
// snapshot's objects, and so safe for concurrent use.
type Evaluator struct {
	pods map[types.NamespacedName]*corev1.Pod
	// seen is the node that looks.
	seen string
	// owners are the pods that claim an address; more than one only while the snapshot is in flux, or
	// because a status says what is not so.
	owners map[netip.Addr][]types.NamespacedName
	// hosts are the names of the nodes that have an address, perhaps more than once.
	hosts      map[netip.Addr][]string
	namespaces map[string]labels.Set
	// unknown are the keys of labels of pods whose values are not known.
	unknown map[types.NamespacedName][]string
	// partial says that other namespaces may have any labels.
	partial bool
	// policies of a namespace, sorted by name.
	policies map[string][]*policy
	// staged is the same cluster with the staged policies enforced too; nil if there are none.
	staged *Evaluator
}

// New prepares an evaluator. The order of the snapshot's lists does not matter.
func New(snapshot Snapshot) *Evaluator {
	e := &Evaluator{
		pods:       map[types.NamespacedName]*corev1.Pod{},
		seen:       snapshot.Seen,
		owners:     map[netip.Addr][]types.NamespacedName{},
		hosts:      map[netip.Addr][]string{},
		namespaces: map[string]labels.Set{},
		unknown:    snapshot.UnknownLabels,
		partial:    snapshot.PartialNamespaces,
		policies:   map[string][]*policy{},
	}
	for _, namespace := range snapshot.Namespaces {
		e.namespaces[namespace.Name] = withAutomaticLabel(namespace.Name, namespace.Labels)
	}
	for _, pod := range snapshot.Pods {
		e.addPod(pod)
	}
	for _, node := range snapshot.Nodes {
		for _, address := range nodeAddresses(node) {
			e.hosts[address] = append(e.hosts[address], node.Name)
		}
	}
	for _, np := range snapshot.Policies {
		e.policies[np.Namespace] = append(e.policies[np.Namespace], newPolicy(np))
	}
	e.sort()
	e.stage(snapshot.Staged)
	return e
}

// stage prepares the answers with more policies, each in place of the policy of the same name.
func (e *Evaluator) stage(staged []*networkingv1.NetworkPolicy) {
	if len(staged) == 0 {
		return
	}
	with := *e
	with.policies = maps.Clone(e.policies)
	for _, np := range staged {
		one := newPolicy(np)
		one.Policy = one.Staged()
		others := slices.DeleteFunc(slices.Clone(with.policies[np.Namespace]), func(p *policy) bool { return p.Name == one.Name })
		with.policies[np.Namespace] = append(others, one)
	}
	with.sort()
	e.staged = &with
}

// addPod indexes a pod, and its addresses if they are its own.
func (e *Evaluator) addPod(pod *corev1.Pod) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	e.pods[name] = pod
	if pod.Spec.HostNetwork || Finished(pod) {
		return
	}
	for _, address := range podAddresses(pod) {
		e.owners[address] = append(e.owners[address], name)
	}
}

// sort makes answers independent of the order of the snapshot's lists.
func (e *Evaluator) sort() {
	for _, owners := range e.owners {
		slices.SortFunc(owners, compareNames)
	}
	for _, policies := range e.policies {
		slices.SortFunc(policies, func(a, b *policy) int { return compareNames(a.Name, b.Name) })
	}
}

func compareNames(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// namespaceLabels returns the labels of a namespace, which the snapshot may lack, and whether these are
// all that it has.
func (e *Evaluator) namespaceLabels(name string) (set labels.Set, known bool) {
	if set, ok := e.namespaces[name]; ok {
		return set, true
	}
	return withAutomaticLabel(name, nil), !e.partial
}

// withAutomaticLabel adds the label that the API server puts on every namespace.
func withAutomaticLabel(name string, set map[string]string) labels.Set {
	return labels.Merge(set, labels.Set{corev1.LabelMetadataName: name})
}

// Allowed says whether the policies let the flow pass.
func (e *Evaluator) Allowed(flow Flow) Result {
	result := e.judge(flow)
	if e.staged != nil {
		staged := e.staged.judge(flow)
		result.Staged = &staged
	}
	return result
}

func (e *Evaluator) judge(flow Flow) Result {
	source, destination, err := e.ends(flow)
	if err != nil {
		d := Decision{Verdict: Unknown, Reason: err.Error()}
		return Result{Verdict: Unknown, Egress: d, Ingress: d}
	}
	egress := e.decide(networkingv1.PolicyTypeEgress, source, destination, flow)
	ingress := e.decide(networkingv1.PolicyTypeIngress, destination, source, flow)
	return Result{Verdict: egress.Verdict.and(ingress.Verdict), Egress: egress, Ingress: ingress}
}

// Half says what the policies of one end make of the flow: of the source, in the direction egress, or of the destination.
// It is that decision of [Evaluator.Allowed], without the other.
func (e *Evaluator) Half(direction networkingv1.PolicyType, flow Flow) Decision {
	source, destination, err := e.ends(flow)
	switch {
	case err != nil:
		return Decision{Verdict: Unknown, Reason: err.Error()}
	case direction == networkingv1.PolicyTypeIngress:
		return e.decide(direction, destination, source, flow)
	default:
		return e.decide(direction, source, destination, flow)
	}
}

// ends looks both ends of a flow up. The error says why nothing can be said about it.
func (e *Evaluator) ends(flow Flow) (source, destination party, err error) {
	if protocol := orTCP(flow.Protocol); hasPorts(protocol) && (flow.Port < 1 || flow.Port > 65535) {
		return source, destination, fmt.Errorf("%s has no port %d", protocol, flow.Port)
	}
	if source, err = e.party(flow.Source); err != nil {
		return source, destination, err
	}
	if destination, err = e.party(flow.Destination); err != nil {
		return source, destination, err
	}
	return source, destination, agree(&source, &destination)
}
