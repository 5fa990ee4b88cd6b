package learn

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/suggest"
)

// workload is pods that do the same work: those of one Deployment, for example.
type workload struct {
	namespace, name string
	// labels are those that all its pods have, and keep.
	labels   labels.Set
	declared *metav1.LabelSelector // by what makes the pods
	selector *metav1.LabelSelector
	// pod stands for its pods.
	pod  *corev1.Pod
	seen bool
}

// workloads are all that are known, in the order in which they came.
type workloads struct {
	all     []*workload
	byName  map[types.NamespacedName]*workload
	byPod   map[types.NamespacedName]*workload
	byLabel map[string]*workload // of what has no name
	in      map[string][]*workload
}

func newWorkloads() *workloads {
	return &workloads{
		byName: map[types.NamespacedName]*workload{}, byPod: map[types.NamespacedName]*workload{}, byLabel: map[string]*workload{},
		in: map[string][]*workload{},
	}
}

// add notes a pod of a workload.
func (w *workloads) add(pod Pod) *workload {
	stable := labels.Set(suggest.StableLabels(pod.Pod))
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Workload}
	key := pod.Namespace + "/" + stable.String()
	found := w.byLabel[key]
	if pod.Workload != "" {
		found = w.byName[name]
	}
	if found == nil {
		found = &workload{namespace: pod.Namespace, name: pod.Workload, labels: stable}
		w.all, w.in[pod.Namespace] = append(w.all, found), append(w.in[pod.Namespace], found)
		if pod.Workload != "" {
			w.byName[name] = found
		} else {
			w.byLabel[key] = found
		}
	}
	found.labels = common(found.labels, stable)
	if pod.Selector != nil {
		found.declared = pod.Selector
	}
	if pod.Name != "" {
		w.byPod[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}] = found
	}
	return found
}

func common(a, b labels.Set) labels.Set {
	out := labels.Set{}
	for key, value := range a {
		if has, found := b[key]; found && has == value {
			out[key] = value
		}
	}
	return out
}

// of is the workload of a pod that was seen; nil if too little is known of it.
func (w *workloads) of(e End) *workload {
	if found := w.byPod[types.NamespacedName{Namespace: e.Namespace, Name: e.Pod}]; found != nil && e.Pod != "" {
		return found
	}
	if found := w.byName[types.NamespacedName{Namespace: e.Namespace, Name: e.Workload}]; found != nil && e.Workload != "" {
		return found
	}
	if len(e.Labels) == 0 || e.Namespace == "" {
		return nil
	}
	for _, known := range w.in[e.Namespace] {
		if len(known.labels) > 0 && e.Workload == "" && labels.SelectorFromSet(known.labels).Matches(labels.Set(e.Labels)) {
			return known
		}
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Pod, Labels: e.Labels}}
	return w.add(Pod{Pod: pod, Workload: e.Workload})
}

// telling are the labels by which people know pods, the clearest first, alone or two together
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/).
var telling = [][]string{
	{"app"}, {"app.kubernetes.io/name"}, {"k8s-app"}, {"app.kubernetes.io/component"}, {"component"}, {"tier"}, {"role"}, {"name"},
	{"app.kubernetes.io/name", "app.kubernetes.io/component"}, {"app", "component"}, {"app", "tier"}, {"app", "role"},
	{"app.kubernetes.io/instance", "app.kubernetes.io/name"}, {"app.kubernetes.io/instance", "app.kubernetes.io/component"},
}

// choose says how each workload's pods are selected: as shortly as no pod of another workload of the namespace is.
func (w *workloads) choose() {
	for _, one := range w.all {
		if len(one.labels) > 0 {
			one.selector = w.selectorOf(one)
		}
		one.pod = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: one.namespace, Labels: one.labels}}
	}
}

func (w *workloads) selectorOf(one *workload) *metav1.LabelSelector {
	if one.declared != nil && len(one.declared.MatchLabels)+len(one.declared.MatchExpressions) > 0 && len(w.othersOf(one, one.declared)) == 0 {
		return one.declared
	}
	for _, keys := range telling {
		set := map[string]string{}
		for _, key := range keys {
			if value, found := one.labels[key]; found {
				set[key] = value
			}
		}
		selector := &metav1.LabelSelector{MatchLabels: set}
		if len(set) == len(keys) && len(w.othersOf(one, selector)) == 0 {
			return selector
		}
	}
	selector := &metav1.LabelSelector{MatchLabels: maps.Clone(one.labels)}
	for {
		others := w.othersOf(one, selector)
		if len(others) == 0 {
			return selector
		}
		// It has all of its labels, and one more.
		more := slices.Sorted(maps.Keys(others[0].labels))
		key := more[slices.IndexFunc(more, func(key string) bool { _, has := one.labels[key]; return !has })]
		lacks := metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpDoesNotExist}
		selector.MatchExpressions = append(selector.MatchExpressions, lacks)
	}
}

// othersOf are the other workloads of the namespace of which a selector finds pods; not those that nothing tells apart.
func (w *workloads) othersOf(one *workload, selector *metav1.LabelSelector) []*workload {
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	var out []*workload
	for _, other := range w.in[one.namespace] {
		if other != one && matches.Matches(other.labels) && !maps.Equal(other.labels, one.labels) {
			out = append(out, other)
		}
	}
	return out
}

func (w *workload) qualified() string {
	if w.name == "" {
		return w.namespace + "/" + w.labels.String()
	}
	return w.namespace + "/" + w.name
}

// isIn says whether its pods are those of a tier.
func (w *workload) isIn(namespace string, selector *metav1.LabelSelector) bool {
	if w.namespace != namespace {
		return false
	}
	matches, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && !matches.Empty() && matches.Matches(w.labels)
}
