// Package packets tries connections of a live cluster with real packets: from ephemeral containers in pods that run, and
// from short-lived pods in place of those that do not. What is tried, from where, and what an outcome means is decided
// by pure functions; a Runner does it.
package packets

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/probe"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// Connection is one that a case asks about.
type Connection struct {
	Flow reach.Flow
	// Named says that the case names the source. Otherwise it is one of everybody else.
	Named bool
	// Stands says that an end is an address that stands for others, as one of the internet's: nobody asked for a
	// connection to its owner.
	Stands bool
}

// World is what a plan is made in.
type World struct {
	// Pods are those of the cluster, and those that stand in for some that are not there.
	Pods       []*corev1.Pod
	Namespaces []*corev1.Namespace
	Services   []*corev1.Service
	// Within are the namespaces in which something may be started.
	Within map[string]bool
	// Timeout is how long a connection is waited for.
	Timeout time.Duration
}

// Job is a probe in one pod.
type Job struct {
	// Pod is the one that runs, or, if New is set, like which one is made.
	Pod *corev1.Pod
	New bool
	// Owner is the namespace of a pod that is made.
	Owner *corev1.Namespace
	Order probe.Order
	// Named says that a case names this source.
	Named bool
}

// Place says which target of which job a connection is, or why it is none.
type Place struct {
	Job, Target int
	NotTried    string
}

// Plan says what is tried, and from where.
type Plan struct {
	Jobs []Job
	// Places are those of the connections, in their order.
	Places []Place
}

// planner makes a plan.
type planner struct {
	World
	plan Plan
	pods map[types.NamespacedName]*corev1.Pod
	// last is the job of a source that takes further targets.
	last map[types.NamespacedName]int
	// known are the places of what is tried already, and alike the first of each kind of pods that are made.
	known map[string]Place
	alike map[string]*corev1.Pod
}

// settles is how long a pod that was made waits first: the other nodes must have heard of its address.
const settles = 2 * time.Second

// Make makes the plan for connections. A connection that several cases ask about is tried once.
func Make(w World, connections []Connection) Plan {
	p := &planner{
		World: w, pods: map[types.NamespacedName]*corev1.Pod{}, last: map[types.NamespacedName]int{}, known: map[string]Place{},
		alike: map[string]*corev1.Pod{},
	}
	for _, pod := range w.Pods {
		p.pods[nameOf(pod)] = pod
	}
	for _, c := range connections {
		p.plan.Places = append(p.plan.Places, p.place(c))
	}
	return p.plan
}

func nameOf(pod *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
}

// place finds the place of a connection, and makes one if it is the first of its kind.
func (p *planner) place(c Connection) Place {
	if protocol := c.Flow.Protocol; !probe.Speaks(protocol) {
		return Place{NotTried: fmt.Sprintf("the probe does not speak %s", protocol)}
	}
	source, why := p.source(c)
	if why != "" {
		return Place{NotTried: why}
	}
	address, why := p.destination(c, source.Pod)
	if why != "" {
		return Place{NotTried: why}
	}
	target := probe.Target{Protocol: c.Flow.Protocol, Address: netip.AddrPortFrom(address, uint16(c.Flow.Port))}
	key := nameOf(source.Pod).String() + " " + target.String()
	known, found := p.known[key]
	if !found {
		known = p.add(source, target)
		p.known[key] = known
	}
	p.plan.Jobs[known.Job].Named = p.plan.Jobs[known.Job].Named || c.Named
	return known
}

// add adds a target to the job of a source, or to a new one if that is full.
func (p *planner) add(source Job, target probe.Target) Place {
	name := nameOf(source.Pod)
	job, found := p.last[name]
	if !found || len(p.plan.Jobs[job].Order.Targets) == probe.MostTargets {
		source.Order.Timeout = p.Timeout
		if source.New {
			source.Order.After = settles
		}
		job = len(p.plan.Jobs)
		p.plan.Jobs = append(p.plan.Jobs, source)
		p.last[name] = job
	}
	order := &p.plan.Jobs[job].Order
	order.Targets = append(order.Targets, target)
	return Place{Job: job, Target: len(order.Targets) - 1}
}

// destination is the address of a connection's destination, or why there is none to try.
func (p *planner) destination(c Connection, source *corev1.Pod) (address netip.Addr, why string) {
	to := c.Flow.Destination
	if to.Pod == (types.NamespacedName{}) {
		switch {
		case c.Stands:
			return address, "an address that stands for others is not bothered"
		case !isOfFamily(source, to.Address):
			return address, fmt.Sprintf("the source has no address of the family of %s", to.Address)
		default:
			return to.Address, ""
		}
	}
	pod := p.pods[to.Pod]
	switch {
	case pod == nil || isStandIn(pod):
		return address, "no pod of the destination runs"
	case pod.Status.Phase != corev1.PodRunning || len(kube.Addresses(pod)) == 0:
		return address, "the destination's pod does not run"
	case to.Address.IsValid():
		return to.Address, ""
	}
	for _, own := range kube.Addresses(pod) {
		if isOfFamily(source, own) {
			return own, ""
		}
	}
	return address, "the two have no address of one family"
}

// isOfFamily says whether a pod has an address of the family of another; one that is to be made may have any.
func isOfFamily(pod *corev1.Pod, of netip.Addr) bool {
	all := kube.Addresses(pod)
	return len(all) == 0 || slices.ContainsFunc(all, func(a netip.Addr) bool { return a.Is4() == of.Unmap().Is4() })
}

// OfEachFamily is a flow between pods over each family that both have; others are one flow.
func OfEachFamily(flow reach.Flow, podOf func(types.NamespacedName) *corev1.Pod) []reach.Flow {
	from, to := podOf(flow.Source.Pod), podOf(flow.Destination.Pod)
	if from == nil || to == nil || flow.Source.Address.IsValid() || flow.Destination.Address.IsValid() {
		return []reach.Flow{flow}
	}
	var flows []reach.Flow
	for _, source := range kube.Addresses(from) {
		for _, destination := range kube.Addresses(to) {
			if source.Is4() == destination.Is4() {
				one := flow
				one.Source.Address, one.Destination.Address = source, destination
				flows = append(flows, one)
			}
		}
	}
	if len(flows) == 0 {
		return []reach.Flow{flow}
	}
	return flows
}
