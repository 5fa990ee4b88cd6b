package agent

import (
	"net/netip"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
	"github.com/apptier/apptier/policy/kube"
)

// past is what a pod had that has finished. It may be all that the API server shows of a pod that lived for less than the
// kubelet takes to report.
type past struct {
	addresses []netip.Addr
	ended     time.Time
}

// pastOf returns nil for a pod that has not finished, or had no address of its own.
func pastOf(pod *corev1.Pod) *past {
	if !kube.Finished(pod) || pod.Spec.HostNetwork || len(kube.Addresses(pod)) == 0 {
		return nil
	}
	p := &past{addresses: kube.Addresses(pod)}
	for i := range pod.Status.ContainerStatuses {
		if end := pod.Status.ContainerStatuses[i].State.Terminated; end != nil && end.FinishedAt.After(p.ended) {
			p.ended = end.FinishedAt.Time
		}
	}
	return p
}

func seconds(t *metav1.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromSeconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}

// observe has connections named by what the store knows.
func (s *store) observe(f *flows.Flows) {
	s.flows = f
	s.pods.noted = func(key types.NamespacedName, old *shownPod) {
		s.notePast(s.pods.objects[key], old)
		s.note(key)
	}
	s.policies.noted = func(key types.NamespacedName, _ *compile.Policy) { f.SetPolicy(key, s.policies.objects[key], false) }
	s.staged.noted = func(key types.NamespacedName, _ *compile.Policy) { f.SetPolicy(key, s.staged.objects[key], true) }
}

// note tells who has the addresses of the pod of a name. The store is locked.
func (s *store) note(key types.NamespacedName) {
	if s.flows == nil {
		return
	}
	now, shown := s.now(), s.pods.objects[key]
	pod := s.merge(key, shown)
	if pod == nil || !pod.Addressed() {
		s.flows.SetPod(key, nil, flows.Since{}, now)
		return
	}
	who, since := &flows.Pod{Pod: pod, Workload: unique.Make("")}, flows.Since{Announced: pod.Announced}
	if made := s.announced[key]; pod.Announced {
		who.UID = made.uid
	} else {
		who.UID = shown.uid
		since.Created, since.Started, since.Old = fromSeconds(shown.created), fromSeconds(shown.started), !s.pods.isListed()
	}
	if shown != nil && shown.uid == who.UID {
		who.Workload = shown.workload
	}
	s.flows.SetPod(key, who, since, now)
}

// notePast tells of a pod that has finished, and was not known to have had an address. The store is locked.
func (s *store) notePast(shown, old *shownPod) {
	if shown == nil || shown.past == nil {
		return
	}
	if old != nil && old.uid == shown.uid && (old.finished || old.Addressed()) || s.announced[shown.key].uid == shown.uid {
		return
	}
	now, started := s.now(), fromSeconds(max(shown.started, shown.created))
	ended := shown.past.ended
	switch {
	case !ended.IsZero():
	case s.pods.isListed():
		ended = now
	default:
		return // it may be over for days
	}
	s.flows.Past(&flows.Pod{Pod: shown.Pod, UID: shown.uid, Workload: shown.workload}, shown.past.addresses, started, ended, now)
}

// isListed says whether all objects were listed once.
func (k *kind[T]) isListed() bool {
	select {
	case <-k.listed:
		return true
	default:
		return false
	}
}
