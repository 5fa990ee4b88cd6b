package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Objects are read before the store is locked, however many come at once: who applies rules waits for that lock.
func TestNobodyWaitsForTheReadingOfObjects(t *testing.T) {
	s := newStore("node", func() {}, time.Now)
	read := s.pods.read
	s.pods.read = func(object any) *shownPod {
		if !s.mu.TryLock() {
			t.Error("an object is read while the store is locked")
		} else {
			s.mu.Unlock()
		}
		return read(object)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	for _, do := range []func() error{
		func() error { return s.pods.Replace([]any{pod}, "1") },
		func() error { return s.pods.Add(pod) },
		func() error { return s.pods.Delete(pod) },
	} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
}

// Where a log goes may be slow. Nobody who asks for connections waits for it.
func TestNobodyWaitsForTheLog(t *testing.T) {
	var r *recorder
	lines := 0
	r = newRecorder(Options{Node: "node", Reader: &records{}, Log: funcr.New(func(_, _ string) {
		if lines++; !r.mu.TryLock() {
			t.Error("it logs while it is locked")
			return
		}
		r.mu.Unlock()
	}, funcr.Options{})})
	for range 3 {
		r.finish(time.Now(), time.Now(), errors.New("no memory"))
	}
	if lines != 1 {
		t.Errorf("%d lines for failures in a row", lines)
	}
}
