package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/programmed"
)

// awaitAtMost is how long the event about a deletion is awaited. It does not come if the cache never had the object.
const awaitAtMost = time.Minute

// removals are the versions at which policies of AppTiers were deleted. The answer to a deletion does not tell, but the
// event about it does.
type removals struct {
	mutex sync.Mutex
	of    map[types.NamespacedName]*removal
}

type removal struct {
	versions programmed.Versions
	// awaited are the policies whose deletion was asked for, and since when.
	awaited map[types.UID]time.Time
}

func (r *removals) entry(app types.NamespacedName) *removal {
	if r.of == nil {
		r.of = map[types.NamespacedName]*removal{}
	}
	if r.of[app] == nil {
		r.of[app] = &removal{awaited: map[types.UID]time.Time{}}
	}
	return r.of[app]
}

// await notes that a policy is about to be deleted.
func (r *removals) await(app types.NamespacedName, policy types.UID, now time.Time) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.entry(app).awaited[policy] = now
}

// saw notes the event about a deletion.
func (r *removals) saw(app types.NamespacedName, policy types.UID, at programmed.Versions) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	entry := r.entry(app)
	delete(entry.awaited, policy)
	entry.versions = later(entry.versions, at)
}

// last is the version of the latest deletions; not settled while there may be later ones.
func (r *removals) last(app types.NamespacedName, now time.Time) (versions programmed.Versions, settled bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	entry := r.of[app]
	if entry == nil {
		return programmed.Versions{}, true
	}
	for policy, since := range entry.awaited {
		if now.Sub(since) >= awaitAtMost {
			delete(entry.awaited, policy)
		}
	}
	return entry.versions, len(entry.awaited) == 0
}

// forget drops what is known of an AppTier that is gone.
func (r *removals) forget(app types.NamespacedName) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.of, app)
}

// later are the higher ones of two versions, kind by kind.
func later(a, b programmed.Versions) programmed.Versions {
	return programmed.Versions{
		NetworkPolicies:       max(a.NetworkPolicies, b.NetworkPolicies),
		StagedNetworkPolicies: max(a.StagedNetworkPolicies, b.StagedNetworkPolicies),
	}
}

// versionsOf is the version of one object, as that of its kind.
func versionsOf(resourceVersion string, staged bool) programmed.Versions {
	if staged {
		return programmed.Versions{StagedNetworkPolicies: programmed.ParseVersion(resourceVersion)}
	}
	return programmed.Versions{NetworkPolicies: programmed.ParseVersion(resourceVersion)}
}
