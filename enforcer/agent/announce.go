package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/ipset"
)

// announcementLife is how long an announced pod counts that the API server does not show. The kubelet
// starts pods that the API server has; a static pod's mirror follows within a second or so.
const announcementLife = time.Minute

// PodRef names one pod, and not another one of the same name before or after it.
type PodRef struct {
	Namespace, Name string
	UID             types.UID
}

func (r PodRef) key() types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: r.Name}
}

// announcement is a pod's addresses from the container runtime.
type announcement struct {
	uid       types.UID
	labels    map[string]string
	addresses []netip.Addr
	made      time.Time
	// before is the UID of the pod that the API server showed under this name, if it was another.
	before types.UID
	// had is the same pod as the API server showed it, if it had addresses already: those of a network
	// that ended, as all do when a node boots.
	had *ipset.Pod
}

// Announce reports the addresses of a pod of this node about a second before the API server knows them.
// It returns once the kernel has a transaction with them, or at once if there is nothing to change;
// otherwise it fails with the context's error.
//
// The labels count until the API server shows the pod, whose own labels and ports count from then on.
// Its addresses count once its status has any that it had not when this was announced. What was
// announced is forgotten when the pod is finished, deleted or replaced by another of its name, or not
// shown for a minute.
func (a *Agent) Announce(ctx context.Context, pod PodRef, labels map[string]string, addresses []netip.Addr) error {
	if pod.Namespace == "" || pod.Name == "" || pod.UID == "" || len(addresses) == 0 {
		return fmt.Errorf("announcing the pod %q: needs its namespace, name, UID and addresses", pod.key())
	}
	if slices.ContainsFunc(addresses, func(a netip.Addr) bool { return !a.IsValid() }) {
		return fmt.Errorf("announcing the pod %q: %w", pod.key(), errors.New("an address is not valid"))
	}
	a.store.announce(pod, labels, addresses)
	a.loop.expireIn(announcementLife)
	if err := a.loop.await(ctx); err != nil {
		return fmt.Errorf("announcing the pod %q: %w", pod.key(), err)
	}
	return nil
}

// announce remembers an announcement.
func (s *store) announce(pod PodRef, labels map[string]string, addresses []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := announcement{uid: pod.UID, labels: maps.Clone(labels), addresses: slices.Clone(addresses), made: s.now()}
	switch shown := s.pods.objects[pod.key()]; {
	case shown == nil:
	case shown.uid != pod.UID:
		made.before = shown.uid
	case shown.Addressed():
		made.had = shown.Pod
	}
	s.announced[pod.key()] = made
	s.pods.dirty[pod.key()] = true
	s.note(pod.key())
}

// expire makes the store check all announcements again, and returns when to do so next; 0 for never.
func (s *store) expire() (next time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, made := range s.announced {
		s.pods.dirty[key] = true
		s.note(key)
		if left := announcementLife - s.now().Sub(made.made); left > 0 && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}

// merge returns the pod that counts: the API server's, with announced addresses if it has none of its
// own, or only the announced one. It returns nil if there is neither, and forgets obsolete announcements.
// The store is locked.
func (s *store) merge(key types.NamespacedName, shown *shownPod) *ipset.Pod {
	made, ok := s.announced[key]
	switch {
	case !ok:
	case shown == nil, shown.uid == made.before && shown.givesWay():
		if s.now().Sub(made.made) < announcementLife {
			return made.pod(key, s.node)
		}
		delete(s.announced, key)
	case shown.uid == made.before: // it is not gone as far as is known; the announced one comes after it
	case shown.uid == made.uid && !shown.finished && !shown.hostNetwork && (!shown.Addressed() || shown.SameAddresses(made.had)):
		return shown.With(made.addresses)
	default:
		delete(s.announced, key)
	}
	if shown == nil {
		return nil
	}
	return shown.Pod
}

// forget drops what was announced of a pod that was deleted. The store is locked.
func (s *store) forget(shown *shownPod) {
	if s.announced[shown.key].uid == shown.uid {
		delete(s.announced, shown.key)
	}
}

// givesWay says whether a pod makes room for another of its name.
func (p *shownPod) givesWay() bool { return p.leaving || p.finished || !p.Addressed() }

// pod is an announced pod as the API server would show it.
func (a announcement) pod(key types.NamespacedName, node string) *ipset.Pod {
	return ipset.NewPod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, Labels: a.labels, CreationTimestamp: metav1.NewTime(a.made),
		},
		Spec: corev1.PodSpec{NodeName: node},
	}, node).With(a.addresses)
}
