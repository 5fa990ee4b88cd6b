package flows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/flows"
)

// model knows of each packet who sent it, to whom and when.
type model struct {
	owners map[string]string // by address
	counts map[string]int    // by "source → destination"
	first  map[string]time.Time
}

func (m *model) packet(from, to string, now time.Time) {
	name := func(address string) string {
		if owner := m.owners[address]; owner != "" {
			return owner
		}
		return address
	}
	what := name(from) + " → " + name(to)
	if m.counts[what]++; m.counts[what] == 1 {
		m.first[what] = now
	}
}

// Whatever pods come and go, whenever the kernel is read, and however often the agent is started anew: connections are
// those of a model that is told of every packet. Where an address changes hands between two readings, what was sent
// before and after by the one element may be counted together.
func TestConnectionsAreThoseOfAModel(t *testing.T) {
	addresses := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "192.0.2.1"}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(flows.Options{Retention: 1000 * time.Hour})
		w.lossless = true
		m := model{map[string]string{}, map[string]int{}, map[string]time.Time{}}
		exact, uid := rapid.Bool().Draw(t, "exact"), 0
		hand := func(address string) {
			if exact {
				w.read()
			}
			w.after(time.Millisecond)
			if old := m.owners[address]; old != "" {
				delete(m.owners, address)
				w.end(old)
			}
			w.after(time.Millisecond)
			if exact {
				w.read()
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"a pod gets an address": func(t *rapid.T) {
				address := rapid.SampledFrom(addresses[:3]).Draw(t, "address")
				hand(address)
				w.after(time.Second) // so that what was before is not taken for its own
				uid++
				m.owners[address] = fmt.Sprintf("shop/pod-%d", uid)
				w.announce(m.owners[address], fmt.Sprint(uid), address)
				w.after(time.Millisecond)
			},
			"an address is nobody's": func(t *rapid.T) {
				hand(rapid.SampledFrom(addresses[:3]).Draw(t, "address"))
				w.after(time.Millisecond)
			},
			"packets": func(t *rapid.T) {
				from, to := rapid.SampledFrom(addresses).Draw(t, "from"), rapid.SampledFrom(addresses).Draw(t, "to")
				for range rapid.IntRange(1, 3).Draw(t, "how many") {
					m.packet(from, to, w.now)
					w.packet(denied(from, to))
					w.after(time.Duration(rapid.IntRange(1, 900).Draw(t, "ms")) * time.Millisecond)
				}
				if w.now.Sub(w.last) > 3*time.Second {
					w.read() // as the agent does
				}
			},
			"read": func(t *rapid.T) { w.read() },
			"time passes": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "readings") {
					w.after(5 * time.Second)
					w.read()
				}
			},
		})
		w.read()
		got, all := map[string]int{}, 0
		for _, c := range w.list("") {
			got[name(c.Source)+" → "+name(c.Destination)] += int(c.Count)
			all += int(c.Count)
			if first, known := m.first[name(c.Source)+" → "+name(c.Destination)]; exact && (!known || first.Sub(c.First.Time).Abs() > 9*time.Second) {
				t.Errorf("%s began at %v, want %v", short(c), c.First, first)
			}
		}
		packets := 0
		for _, n := range m.counts {
			packets += n
		}
		if all != packets {
			t.Errorf("%d counted, want %d", all, packets)
		}
		if diff := cmp.Diff(m.counts, got); exact && diff != "" {
			t.Errorf("(-model +flows):\n%s", diff)
		}
	})
}
