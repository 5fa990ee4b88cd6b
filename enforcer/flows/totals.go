package flows

import (
	"cmp"
	"slices"
	"time"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

const (
	// mostLabels is how many sets of labels are counted apart. The others are counted as those of the namespace Others.
	mostLabels = 1000
	// mostOfNamespace is how many of them one namespace has. Its others are counted without their tiers, which are labels
	// that its owner writes.
	mostOfNamespace = 100
	// Others is no name that a namespace can have.
	Others = "_others"
)

// Labels are what connections are counted by: the side whose policies decided, or if none did, an end that is a pod.
type Labels struct {
	Namespace, AppTier, Tier string
	Direction                connections.Direction
	Verdict                  connections.Verdict
}

// Total is how often connections were judged, as in connections.Connection.
type Total struct {
	Labels
	Count uint64
}

type totals struct {
	counts map[Labels]uint64
	of     map[string]int // how many sets of labels namespaces have
}

func newTotals() totals { return totals{counts: map[Labels]uint64{}, of: map[string]int{}} }

func (t totals) add(l Labels, count uint64) {
	if !t.has(l) && t.of[l.Namespace] >= mostOfNamespace {
		l.AppTier, l.Tier = "", ""
	}
	if !t.has(l) && len(t.counts) >= mostLabels {
		l = Labels{Namespace: Others, Direction: l.Direction, Verdict: l.Verdict}
	}
	if !t.has(l) {
		t.of[l.Namespace]++
	}
	t.counts[l] += count
}

func (t totals) has(l Labels) bool {
	_, known := t.counts[l]
	return known
}

func (f *Flows) labelsOf(c *connection) Labels {
	of := f.classes.all[c.key.class]
	l := Labels{Direction: of.direction, Verdict: of.verdict}
	side := c.decided(of.direction)
	if side == nil && c.source.who != nil {
		side = &c.source
	} else if side == nil {
		side = &c.destination
	}
	l.Namespace = side.namespace()
	l.AppTier, l.Tier = side.selected()
	return l
}

// Totals returns how often connections were judged since this began, sorted. Those of which an end may still become known
// are not among them.
func (f *Flows) Totals() []Total {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Total, 0, len(f.totals.counts))
	for l, count := range f.totals.counts {
		all = append(all, Total{l, count})
	}
	slices.SortFunc(all, func(a, b Total) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.AppTier, b.AppTier), cmp.Compare(a.Tier, b.Tier),
			cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Verdict, b.Verdict))
	})
	return all
}

// missed counts what is in no list, by the minute.
type missed struct {
	// kernel is what the kernel said last, by reason; it rises only.
	kernel   map[string]uint64
	begun    bool
	byReason map[string]*tally
	forgot   map[string]*tally // by namespace
}

// tally is a count by the minute; the latest is last.
type tally struct{ minutes []minute }

type minute struct {
	at    time.Duration
	count uint64
}

func newMissed() missed {
	return missed{kernel: map[string]uint64{}, byReason: map[string]*tally{}, forgot: map[string]*tally{}}
}

func (t *tally) add(count uint64, at time.Duration) {
	if n := len(t.minutes); n > 0 && t.minutes[n-1].at == at.Truncate(time.Minute) {
		t.minutes[n-1].count += count
		return
	}
	t.minutes = append(t.minutes, minute{at.Truncate(time.Minute), count})
}

// since counts from the minute of a time on.
func (t *tally) since(at time.Duration) (count uint64) {
	for _, m := range t.minutes {
		if m.at >= at.Truncate(time.Minute) {
			count += m.count
		}
	}
	return count
}

// read takes in what the kernel says. What it counted before anybody read it is not known to be of now.
func (m *missed) read(kernel map[string]uint64, at time.Duration) {
	for reason, count := range kernel {
		before := m.kernel[reason]
		if count < before {
			before = 0 // it has begun to count anew
		}
		if count > before && m.begun {
			tallyOf(m.byReason, reason).add(count-before, at)
		}
		m.kernel[reason] = count
	}
	m.begun = true
}

func tallyOf(of map[string]*tally, name string) *tally {
	if of[name] == nil {
		of[name] = &tally{}
	}
	return of[name]
}

func (m *missed) forgotten(namespace string, at time.Duration) {
	tallyOf(m.forgot, namespace).add(1, at)
}

// sweep drops what is too old.
func (m *missed) sweep(before time.Duration) {
	for _, of := range []map[string]*tally{m.byReason, m.forgot} {
		for name, t := range of {
			t.minutes = slices.DeleteFunc(t.minutes, func(one minute) bool { return one.at < before.Truncate(time.Minute) })
			if len(t.minutes) == 0 {
				delete(of, name)
			}
		}
	}
}
