package apptier

import (
	"iter"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/words"
)

func init() { runs[netpol.SelectsNothing] = checkTierPods }

// checkTierPods finds tiers without pods, while the namespace has some, and those whose pods no policy
// can isolate.
func checkTierPods(r *check.Report, in *appView) {
	app, w := in.App, in.world
	pods := w.PodsIn(app.Namespace)
	if !w.Known.Pods || len(pods) == 0 || w.MorePods {
		return
	}
	tiers, paths := tiersOf(app)
	for i, tier := range tiers {
		if len(tier.knownAmong(pods, w)) == 0 {
			continue
		}
		inTier := func(pod *corev1.Pod) bool { return tier.pods.Match(connset.Subject, pod.Labels) }
		first := slices.IndexFunc(pods, inTier)
		switch {
		case first < 0:
			selector := &tier.tier.PodSelector
			r.Find(netpol.SelectsNothing, paths[i], words.Hint(selector, labelsAmong(pods), "pods"),
				"no pod of namespace %s has %s, so tier %s is empty", app.Namespace, words.Selector(selector), tier.tier.Name)
		case !slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return inTier(pod) && !pod.Spec.HostNetwork }):
			r.Find(netpol.HostNetwork, paths[i], "restrict the node's traffic otherwise: a policy cannot",
				"every pod of tier %s, such as %s, is on its node's network, where policies do not apply", tier.tier.Name, words.Pod(pods[first]))
		}
	}
}

// labelsAmong are the labels of pods.
func labelsAmong(pods []*corev1.Pod) iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for _, pod := range pods {
			for key, value := range pod.Labels {
				if !yield(key, value) {
					return
				}
			}
		}
	}
}
