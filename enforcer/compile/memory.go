package compile

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/reach"
)

// Memory makes one compilation after another cheaper: pods that are the same object as the last
// time, which nobody may modify, are not read again. It changes no result. Its zero value remembers
// nothing; it is not safe for concurrent use.
type Memory struct {
	node string
	pods map[*corev1.Pod]*pod
}

// Compile is like CompileExcept.
func (m *Memory) Compile(snapshot reach.Snapshot, node string, closed map[string]error) Ruleset {
	return compile(snapshot, node, closed, m)
}

// recall appends the pods that have addresses of their own, and forgets what is not among objects.
func (m *Memory) recall(out []*pod, objects []*corev1.Pod, node string) []*pod {
	if m.node != node {
		m.node, m.pods = node, nil
	}
	present := make(map[*corev1.Pod]*pod, len(objects))
	for _, object := range objects {
		p, known := m.pods[object]
		if !known {
			p = newPod(object, node)
		}
		present[object] = p
		if p != nil {
			out = append(out, p)
		}
	}
	m.pods = present
	return out
}
