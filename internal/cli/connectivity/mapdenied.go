package connectivity

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/cli/diff"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// denied are the pairs that a policy keeps apart: an end is isolated, and no rule allows a connection. An end is a workload
// that is given, a tier that has no pod, a pod of another namespace, or any address. What is not known is not denied.
func (s view) denied(result compare.Result) []report.Pairs {
	ends := s.deniedEnds()
	mayPass := slices.Clone(result.Open)
	for _, c := range result.Changes {
		mayPass = append(mayPass, compare.Ends{From: c.From, To: c.To})
	}
	allowed := s.pairs(ends, mayPass)
	return report.PairsOf(slices.Sorted(maps.Keys(ends)), func(p report.Pair) bool {
		return !allowed[p] && (!ends[p.From].Egress || !ends[p.To].Ingress)
	})
}

// notKnown are the pairs of which only a cluster can say whether they may connect on every port, by themselves and put
// together. Those on the ports of DNS alone are left out, unless somebody asks for them.
func (s view) notKnown(result compare.Result, dns bool) (map[report.Pair]bool, []report.Pairs) {
	ends := s.deniedEnds()
	isDNS := func(e compare.Ends) bool {
		return !dns && e.First == 53 && e.Last == 53 && e.Protocol != corev1.ProtocolSCTP
	}
	maybe := s.pairs(ends, slices.DeleteFunc(slices.Clone(result.Open), isDNS))
	return maybe, report.PairsOf(slices.Sorted(maps.Keys(ends)), func(p report.Pair) bool { return maybe[p] })
}

// pairs are the names of ends, each of some with each of others.
func (s view) pairs(ends map[string]report.Open, of []compare.Ends) map[report.Pair]bool {
	names := map[types.NamespacedName]string{}
	for name, pod := range s.Pods {
		names[name] = s.deniedEnd(pod, ends)
	}
	called := func(e reach.Endpoint) string {
		if e.Address.IsValid() {
			return report.AnyAddress
		}
		return names[e.Pod]
	}
	out := map[report.Pair]bool{}
	for _, c := range of {
		to := once(c.To, called)
		for _, from := range once(c.From, called) {
			for _, to := range to {
				if from != to {
					out[report.Pair{From: from, To: to}] = true
				}
			}
		}
	}
	return out
}

// once are the names of ends, each once.
func once(ends []reach.Endpoint, called func(reach.Endpoint) string) []string {
	names := map[string]bool{}
	for _, e := range ends {
		if name := called(e); name != "" {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// deniedEnds are all ends that denied is about, and in which directions some of their pods are not isolated.
func (s view) deniedEnds() map[string]report.Open {
	everywhere := report.Open{Ingress: true, Egress: true}
	ends := map[string]report.Open{report.AnyAddress: everywhere, report.Elsewhere: everywhere}
	tiers := map[string]bool{} // with a pod
	add := func(name string, pod *corev1.Pod) {
		ingress, egress := s.isolated(pod)
		o := ends[name]
		ends[name] = report.Open{Ingress: o.Ingress || !ingress, Egress: o.Egress || !egress}
	}
	for _, pod := range s.Snapshot.Pods {
		if isGiven(pod) {
			add(diff.WorkloadName(pod), pod)
			tiers[s.TierOf(pod)] = true
		}
	}
	for _, pod := range s.Snapshot.Pods {
		if tier := s.TierOf(pod); !isGiven(pod) && tier != "" && !tiers[tier] {
			add(tier, pod)
		}
	}
	return ends
}

// deniedEnd is which of the ends a pod is; empty if it is none.
func (s view) deniedEnd(pod *corev1.Pod, ends map[string]report.Open) string {
	name := s.TierOf(pod)
	switch {
	case isGiven(pod):
		name = diff.WorkloadName(pod)
	case pod.Namespace == scene.AnotherNamespace:
		name = report.Elsewhere
	}
	if _, found := ends[name]; !found {
		return ""
	}
	return name
}

// isGiven says whether a pod is there, or a workload that is would make it, and policies are about it.
func isGiven(pod *corev1.Pod) bool {
	return !pod.Spec.HostNetwork && !kube.Finished(pod) && !strings.Contains(pod.Name, " ")
}
