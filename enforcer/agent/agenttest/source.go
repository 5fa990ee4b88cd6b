package agenttest

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/reach"
)

// Source feeds a compiler with snapshots: at first with all objects, and from then on with what has
// changed.
func Source(snapshot func() reach.Snapshot) func(*compile.Compiler) {
	told := map[string]metav1.Object{}
	return func(to *compile.Compiler) {
		s := snapshot()
		gone := maps.Clone(told)
		each(s.Nodes, func(o metav1.Object) { tellChanged(to, told, gone, "node", o) })
		each(s.Namespaces, func(o metav1.Object) { tellChanged(to, told, gone, "namespace", o) })
		each(s.Pods, func(o metav1.Object) { tellChanged(to, told, gone, "pod", o) })
		each(s.Policies, func(o metav1.Object) { tellChanged(to, told, gone, "policy", o) })
		for _, o := range s.Staged {
			tellChanged(to, told, gone, "staged policy", staged{o})
		}
		for key, o := range gone {
			delete(told, key)
			tell(to, nil, o)
		}
	}
}

func each[T metav1.Object](objects []T, do func(metav1.Object)) {
	for _, o := range objects {
		do(o)
	}
}

func tellChanged(to Watcher, told, gone map[string]metav1.Object, kind string, o metav1.Object) {
	key := kind + " " + o.GetNamespace() + "/" + o.GetName()
	delete(gone, key)
	if before, ok := told[key]; ok && equality.Semantic.DeepEqual(before, o) {
		return
	}
	tell(to, o, nil)
	told[key] = deepCopy(o)
}

// deepCopy is what the object was, whatever becomes of it.
func deepCopy(o metav1.Object) metav1.Object {
	switch o := o.(type) {
	case *corev1.Pod:
		return o.DeepCopy()
	case *corev1.Namespace:
		return o.DeepCopy()
	case *corev1.Node:
		return o.DeepCopy()
	case *networkingv1.NetworkPolicy:
		return o.DeepCopy()
	case staged:
		return staged{o.DeepCopy()}
	default:
		return o
	}
}
