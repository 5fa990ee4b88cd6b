package kernel_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/knftables"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
	"github.com/apptier/apptier/enforcer/flows/kernel"
	"github.com/apptier/apptier/enforcer/nft"
)

// recorded is a kernel that has elements of sets, by name, and counters.
type recorded struct {
	nft.Kernel
	sets     map[string][]nft.Recorded
	counters map[string]uint64
	// begins is how often each list begins anew half-way.
	begins int
	err    error
}

func (k recorded) Recorded(_ context.Context, set string, visit func(nft.Recorded), restart func()) error {
	for range k.begins {
		for _, r := range k.sets[set] {
			visit(r)
		}
		restart()
	}
	for _, r := range k.sets[set] {
		visit(r)
	}
	return k.err
}

func (k recorded) ListCounters(context.Context) ([]*knftables.Counter, error) {
	var out []*knftables.Counter
	for name, packets := range k.counters {
		out = append(out, &knftables.Counter{Name: name, Packets: &packets})
	}
	return out, nil
}

// four is a key of IPv4: from 10.0.0.1 to 10.0.0.2.
func four(protocol byte, port ...byte) []byte {
	return append([]byte{10, 0, 0, 1, 10, 0, 0, 2, protocol, 0, 0, 0}, append(port, 0, 0)...)
}

// six is a key of IPv6: from fd00::1 to fd00::2, TCP port 443.
func six() []byte {
	first, second := netip.MustParseAddr("fd00::1").As16(), netip.MustParseAddr("fd00::2").As16()
	return append(append(first[:], second[:]...), 6, 0, 0, 0, 1, 187, 0, 0)
}

func TestRead(t *testing.T) {
	from, to := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for _, test := range []struct {
		name string
		sets map[string][]nft.Recorded
		want []flows.Seen
	}{
		{"a denied connection", map[string][]nft.Recorded{"denied-ingress4": {{Key: four(6, 21, 56), Packets: 14, Expires: 47 * time.Second}}},
			[]flows.Seen{{
				Key:   flows.Key{Verdict: connections.Denied, Direction: connections.Ingress, Reason: "ingress", Initiator: from, Server: to, Protocol: 6, Port: 5432},
				Count: 14, Age: 13 * time.Second,
			}}},
		{"no policy decides", map[string][]nft.Recorded{"denied-unknown4": {{Key: four(17, 0, 53), Packets: 1, Expires: time.Minute}}},
			[]flows.Seen{{Key: flows.Key{Verdict: connections.Denied, Reason: "unknown_pod", Initiator: from, Server: to, Protocol: 17, Port: 53}, Count: 1}}},
		{"IPv6 that would be denied", map[string][]nft.Recorded{"would-deny-egress6": {{Key: six(), Packets: 2, Expires: time.Second}}},
			[]flows.Seen{{
				Key: flows.Key{
					Verdict: connections.WouldDeny, Direction: connections.Egress, Protocol: 6, Port: 443,
					Initiator: netip.MustParseAddr("fd00::1"), Server: netip.MustParseAddr("fd00::2"),
				},
				Count: 2, Age: 59 * time.Second,
			}}},
		{"of several types of ICMP the oldest", map[string][]nft.Recorded{"allowed4": {
			{Key: four(1, 8, 0), Packets: 3, Expires: 50 * time.Second}, {Key: four(1, 13, 0), Packets: 4, Expires: 40 * time.Second},
			{Key: four(1, 0, 0), Packets: 5, Expires: 45 * time.Second},
		}}, []flows.Seen{{Key: flows.Key{Verdict: connections.Allowed, Initiator: from, Server: to, Protocol: 1}, Count: 4, Age: 20 * time.Second}}},
		{"keys of another kind", map[string][]nft.Recorded{"denied-egress4": {{Key: six()}, {Key: nil}}}, nil},
		{"no table", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for begins := range 3 {
				got, err := kernel.Read(t.Context(), recorded{sets: test.sets, begins: begins})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got.Seen, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
		})
	}
}

// Of what was not recorded the reason is known, or the verdict.
func TestWhatWasMissed(t *testing.T) {
	got, err := kernel.Read(t.Context(), recorded{counters: map[string]uint64{
		"denied-egress": 100, "missed-denied-egress": 7, "missed-denied-unknown": 2, "missed-would-deny-egress": 3, "missed-would-deny-ingress": 4, "missed-allowed": 5,
	}})
	want := map[string]uint64{"egress": 7, "unknown_pod": 2, "WouldDeny": 7, "Allowed": 5}
	if diff := cmp.Diff(want, got.Missed); err != nil || diff != "" {
		t.Errorf("%v; -want +got:\n%s", err, diff)
	}
}

// Every reason is read, and nothing else is.
func TestEveryRecordIsOfAReason(t *testing.T) {
	sets := map[string][]nft.Recorded{}
	for _, r := range compile.Records() {
		sets[r.Set] = []nft.Recorded{{Key: four(6, 0, 80)}}
		if r.IPv6 {
			sets[r.Set] = []nft.Recorded{{Key: six()}}
		}
	}
	got, err := kernel.Read(t.Context(), recorded{sets: sets})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[flows.Key]int{}
	for _, s := range got.Seen {
		kinds[flows.Key{Verdict: s.Verdict, Direction: s.Direction, Reason: s.Reason}]++
	}
	if want := len(compile.Denials()) + len(compile.Audits()) + 1; len(kinds) != want || len(got.Seen) != 2*want {
		t.Errorf("%d kinds, want %d, of each family: %v", len(kinds), want, kinds)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	broken := errors.New("broken")
	if _, err := kernel.Read(t.Context(), recorded{err: broken}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := kernel.Read(t.Context(), struct{ nft.Kernel }{recorded{}}); !errors.Is(err, kernel.ErrNotListed) {
		t.Errorf("got %v", err)
	}
}
