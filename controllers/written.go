package controllers

import (
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// version is one state of one object.
type version struct {
	uid             types.UID
	resourceVersion string
	// deleted: this state was its last.
	deleted bool
}

// written is what this process last wrote of each AppTier's policies. The cache may lag behind, and a
// plan that misses a policy may remove another too early: then read from the API server first. An entry
// is removed once the cache shows it.
type written struct {
	mutex sync.Mutex
	of    map[types.NamespacedName]*pending
}

// pending is what the cache has yet to show of one AppTier's policies.
type pending struct {
	versions map[string]version
	// unsure: a write failed, but may have taken effect.
	unsure bool
}

func (w *written) entry(app types.NamespacedName) *pending {
	if w.of == nil {
		w.of = map[types.NamespacedName]*pending{}
	}
	if w.of[app] == nil {
		w.of[app] = &pending{versions: map[string]version{}}
	}
	return w.of[app]
}

// keyOf distinguishes policies of the same name and different kinds.
func keyOf(name string, staged bool) string {
	if staged {
		return kindStaged + "/" + name
	}
	return name
}

// wrote notes the state that a step led to.
func (w *written) wrote(app types.NamespacedName, s step, now version) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.entry(app).versions[keyOf(s.name, s.staged)] = now
}

// failed notes that a write may have taken effect or not.
func (w *written) failed(app types.NamespacedName) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.entry(app).unsure = true
}

// read replaces what is known of an AppTier's policies by the API server's state.
func (w *written) read(app types.NamespacedName, policies []*networkingv1.NetworkPolicy) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	entry := w.entry(app)
	entry.unsure = false
	for name, last := range entry.versions {
		last.deleted = true
		entry.versions[name] = last
	}
	for _, policy := range policies {
		entry.versions[keyOf(policy.Name, isStaged(policy))] = version{uid: policy.UID, resourceVersion: policy.ResourceVersion}
	}
}

// forget drops what is known of an AppTier that is gone.
func (w *written) forget(app types.NamespacedName) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	delete(w.of, app)
}

// shownBy says whether the cache shows everything that was written.
func (w *written) shownBy(app types.NamespacedName, cached []*networkingv1.NetworkPolicy) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	entry := w.of[app]
	if entry == nil {
		return true
	}
	if entry.unsure {
		return false
	}
	shown := map[string]*networkingv1.NetworkPolicy{}
	for _, policy := range cached {
		shown[keyOf(policy.Name, isStaged(policy))] = policy
	}
	for name, last := range entry.versions {
		if !last.shownBy(shown[name]) {
			return false
		}
	}
	delete(w.of, app)
	return true
}

func (v version) shownBy(policy *networkingv1.NetworkPolicy) bool {
	if policy == nil || v.deleted {
		return v.deleted && (policy == nil || policy.UID != v.uid)
	}
	order, err := resourceversion.CompareResourceVersion(policy.ResourceVersion, v.resourceVersion)
	return err == nil && order >= 0
}
