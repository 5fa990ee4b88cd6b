package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

// announcement is a pod's addresses from whoever gave them to it.
type announcement struct {
	uid       types.UID
	labels    map[string]string
	addresses []netip.Addr
	made      time.Time
	// before is the UID of the pod that the API server showed under this name, if it was another.
	before types.UID
}

// announcements are the pods of this node whose addresses the API server does not know yet.
type announcements struct {
	node string
	now  func() time.Time

	mu   sync.Mutex
	pods map[types.NamespacedName]announcement
}

func newAnnouncements(node string, now func() time.Time) *announcements {
	return &announcements{node: node, now: now, pods: map[types.NamespacedName]announcement{}}
}

// Announce tells the addresses of a pod of this node before the API server knows them, which is
// about a second sooner. It returns once a transaction that has them is in the kernel, or at once if
// there is nothing to change; otherwise it fails with the context's error.
//
// The labels count until the API server shows the pod, whose own labels and ports count from then on.
// Its addresses count once its status has any. What was announced is forgotten when the pod is
// finished, deleted or replaced by another of its name, or not shown for a minute.
func (a *Agent) Announce(ctx context.Context, pod PodRef, labels map[string]string, addresses []netip.Addr) error {
	if pod.Namespace == "" || pod.Name == "" || pod.UID == "" || len(addresses) == 0 {
		return fmt.Errorf("announcing the pod %q: needs its namespace, name, UID and addresses", pod.key())
	}
	if slices.ContainsFunc(addresses, func(a netip.Addr) bool { return !a.IsValid() }) {
		return fmt.Errorf("announcing the pod %q: %w", pod.key(), errors.New("an address is not valid"))
	}
	a.announcements.add(pod, labels, addresses, a.watcher.pod(pod.key()))
	a.loop.changedIn(announcementLife)
	if err := a.loop.await(ctx); err != nil {
		return fmt.Errorf("announcing the pod %q: %w", pod.key(), err)
	}
	return nil
}

// add remembers an announcement. The object is what the API server shows under the pod's name.
func (s *announcements) add(pod PodRef, labels map[string]string, addresses []netip.Addr, object *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := announcement{uid: pod.UID, labels: labels, addresses: slices.Clone(addresses), made: s.now()}
	if object != nil && object.UID != pod.UID {
		made.before = object.UID
	}
	s.pods[pod.key()] = made
}

// merge returns the pod that counts: the API server's, with announced addresses if it has none of its
// own, or what was announced alone. It returns nil if there is neither, and forgets announcements
// that have served.
func (s *announcements) merge(key types.NamespacedName, object *corev1.Pod) *corev1.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	made, ok := s.pods[key]
	switch {
	case !ok:
		return object
	case object == nil, object.UID == made.before && leaving(object):
		if s.now().Sub(made.made) < announcementLife {
			return made.pod(key, s.node)
		}
	case object.UID == made.before:
		return object // it is not gone as far as is known; the announced one comes after it
	case object.UID == made.uid && !finished(object) && len(object.Status.PodIPs) == 0 && object.Status.PodIP == "":
		merged := *object
		merged.Status.PodIPs = podIPs(made.addresses)
		return &merged
	}
	delete(s.pods, key)
	return object
}

// forget drops what was announced of a pod that was deleted.
func (s *announcements) forget(object *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	if s.pods[key].uid == object.UID {
		delete(s.pods, key)
	}
}

// leaving tells whether a pod makes room for another of its name.
func leaving(object *corev1.Pod) bool {
	return object.DeletionTimestamp != nil || finished(object) || len(object.Status.PodIPs) == 0 && object.Status.PodIP == ""
}

func finished(object *corev1.Pod) bool {
	return object.Status.Phase == corev1.PodSucceeded || object.Status.Phase == corev1.PodFailed
}

// pod is an announced pod as the API server would show it. It is younger than any that it has shown.
func (a announcement) pod(key types.NamespacedName, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, UID: a.uid, Labels: a.labels, CreationTimestamp: metav1.NewTime(a.made),
		},
		Spec:   corev1.PodSpec{NodeName: node},
		Status: corev1.PodStatus{Phase: corev1.PodPending, PodIPs: podIPs(a.addresses)},
	}
}

func podIPs(addresses []netip.Addr) []corev1.PodIP {
	out := make([]corev1.PodIP, 0, len(addresses))
	for _, address := range addresses {
		out = append(out, corev1.PodIP{IP: address.String()})
	}
	return out
}

// mergeAll merges all announcements into the API server's pods.
func (s *announcements) mergeAll(pods []*corev1.Pod) []*corev1.Pod {
	s.mu.Lock()
	left := maps.Clone(s.pods)
	s.mu.Unlock()
	if len(left) == 0 {
		return pods
	}
	out := make([]*corev1.Pod, 0, len(pods)+len(left))
	for _, pod := range pods {
		key := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
		delete(left, key)
		out = append(out, s.merge(key, pod))
	}
	for key := range left {
		if pod := s.merge(key, nil); pod != nil {
			out = append(out, pod)
		}
	}
	return out
}
