package flows

import (
	"net/netip"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/compile"
)

// news is what was told since connections were named last. Who tells holds a lock that rules wait for, so it leaves a note
// here, and whoever names takes the notes in.
type news struct {
	mu   sync.Mutex
	pods []podNews // in the order in which they came
	// policies are the latest of each, nil for one that is gone: what was before named nothing.
	policies map[policyKey]*compile.Policy
}

// podNews is a pod that came, changed or went; or one of before, with the addresses that it had.
type podNews struct {
	key  types.NamespacedName
	pod  *Pod // nil for one that is gone
	past []netip.Addr
	// may and from are since when it can have and has its addresses; at is when that was told, or when it ended.
	may, from, at time.Duration
}

// policyKey is a policy's name and kind.
type policyKey struct {
	types.NamespacedName
	staged bool
}

func (n *news) addPod(one podNews) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods = append(n.pods, one)
}

func (n *news) addPolicy(key policyKey, policy *compile.Policy) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.policies == nil {
		n.policies = map[policyKey]*compile.Policy{}
	}
	n.policies[key] = policy
}

func (n *news) take() (pods []podNews, policies map[policyKey]*compile.Policy) {
	n.mu.Lock()
	defer n.mu.Unlock()
	pods, policies = n.pods, n.policies
	n.pods, n.policies = nil, nil
	return pods, policies
}

// Since is from when on a pod has an address.
type Since struct {
	// Created is when its object was made, which is the earliest, and Started when its node began to start it, both by the
	// API server's clock; zero if that is not known.
	Created, Started time.Time
	// Old says that it was listed when nothing was known, and so may have had it before.
	Old bool
	// Announced says that it has it from now on, and had it not before.
	Announced bool
}

// SetPod tells of a pod that came or changed, or of nil for one that is gone.
func (f *Flows) SetPod(key types.NamespacedName, pod *Pod, since Since, now time.Time) {
	at := f.at(now)
	from := at
	may := at - lag
	if since.Old {
		from, may = f.wall(since.Started, now), f.wall(since.Created, now)
	} else if !since.Created.IsZero() {
		may = max(may, f.wall(since.Created, now))
	}
	if since.Announced {
		may = from - jitter
	}
	f.news.addPod(podNews{key: key, pod: pod, may: min(may, from), from: from, at: at})
}

// wall is a time by the wall clock, which is now at the latest.
func (f *Flows) wall(t, now time.Time) time.Duration { return f.at(now) - max(0, now.Round(0).Sub(t)) }

// Past tells of a pod that was finished before anybody knew its addresses.
func (f *Flows) Past(pod *Pod, addresses []netip.Addr, started, ended, now time.Time) {
	if to := f.wall(ended, now); f.at(now)-to < keepEnded && len(addresses) > 0 {
		f.news.addPod(podNews{pod: pod, past: addresses, from: min(f.wall(started, now), to), at: to})
	}
}

// SetPolicy tells of a policy that came or changed, or of nil for one that is gone.
func (f *Flows) SetPolicy(key types.NamespacedName, policy *compile.Policy, staged bool) {
	f.news.addPolicy(policyKey{key, staged}, policy)
}

// Follow takes in what was told. Read does so too; this is for when there is nothing to read.
func (f *Flows) Follow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.follow()
}

func (f *Flows) follow() {
	pods, policies := f.news.take()
	for _, one := range pods {
		if one.past != nil {
			f.history.past(one.pod, one.past, one.from, one.at)
		} else {
			f.history.set(one.key, one.pod, one.may, one.from, one.at)
		}
	}
	for key, policy := range policies {
		f.policies.set(key, policy)
	}
}
