package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

// ErrNotListed says that a kernel's records cannot be read.
var ErrNotListed = errors.New("this kernel's dynamic sets cannot be listed: that needs netlink, which the nft program does not stand in for")

// Read reads all connections that a kernel has recorded. Without a table there are none. A minute after its first packet
// an element is gone, and what it counted since the last reading is lost; the named counters still have it.
func Read(ctx context.Context, kernel nft.Kernel) (flows.Reading, error) {
	recorder, ok := kernel.(nft.Recorder)
	if !ok {
		return flows.Reading{}, ErrNotListed
	}
	reading := flows.Reading{Missed: map[string]uint64{}}
	for _, s := range sources {
		if err := s.read(ctx, recorder, &reading); err != nil {
			return flows.Reading{}, fmt.Errorf("reading what the kernel recorded: %w", err)
		}
	}
	counts, err := nft.Counts(ctx, kernel)
	if err != nil {
		return flows.Reading{}, fmt.Errorf("reading what the kernel missed: %w", err)
	}
	for missed, as := range missedAs {
		if count, there := counts[missed]; there {
			reading.Missed[as] += count
		}
	}
	return reading, nil
}

// source is a set, and what its elements have in common.
type source struct {
	compile.Record
	flows.Key
}

// sources are all sets. missedAs says of each counter of what was missed under which reason or verdict it is reported.
var sources, missedAs = describe()

// decided are the directions of reasons that are policies'.
var decided = map[string]connections.Direction{string(compile.Egress): connections.Egress, string(compile.Ingress): connections.Ingress}

func describe() (sources []source, missedAs map[string]string) {
	keys := map[string]flows.Key{"": {Verdict: connections.Allowed}}
	for reason, counter := range compile.Denials() {
		keys[counter] = flows.Key{Verdict: connections.Denied, Reason: reason, Direction: decided[reason]}
	}
	for direction, counter := range compile.Audits() {
		keys[counter] = flows.Key{Verdict: connections.WouldDeny, Direction: decided[string(direction)]}
	}
	missedAs = map[string]string{}
	for _, record := range compile.Records() {
		s := source{record, keys[record.Counter]}
		sources = append(sources, s)
		if missedAs[record.Missed] = s.Reason; s.Reason == "" {
			missedAs[record.Missed] = string(s.Verdict)
		}
	}
	return sources, missedAs
}

// read appends the elements of the set.
//
// Protocols without ports may have several elements for one key: see compile. The oldest stands for them. As all stay for
// the same time, each is the oldest for a while before it ends, so that nothing is counted twice, or never.
func (s *source) read(ctx context.Context, recorder nft.Recorder, to *flows.Reading) error {
	before := len(to.Seen)
	var portless map[flows.Key]int
	visit := func(r nft.Recorded) {
		seen, ok := s.seen(r)
		if !ok {
			return
		}
		if hasPorts(seen.Protocol) {
			to.Seen = append(to.Seen, seen)
			return
		}
		seen.Port = 0
		if i, again := portless[seen.Key]; again {
			if to.Seen[i].Age < seen.Age {
				to.Seen[i] = seen
			}
			return
		}
		if portless == nil {
			portless = map[flows.Key]int{}
		}
		portless[seen.Key] = len(to.Seen)
		to.Seen = append(to.Seen, seen)
	}
	return recorder.Recorded(ctx, s.Set, visit, func() {
		to.Seen = to.Seen[:before]
		clear(portless)
	})
}

// seen reads an element: two addresses, the protocol and the port, each padded to four bytes.
func (s *source) seen(r nft.Recorded) (flows.Seen, bool) {
	length := 4
	if s.IPv6 {
		length = 16
	}
	if len(r.Key) != 2*length+8 {
		return flows.Seen{}, false
	}
	out := flows.Seen{Key: s.Key, Count: r.Packets, Age: max(compile.RecordTimeout-r.Expires, 0)}
	out.Initiator, _ = netip.AddrFromSlice(r.Key[:length])
	out.Server, _ = netip.AddrFromSlice(r.Key[length : 2*length])
	out.Protocol = r.Key[2*length]
	out.Port = binary.BigEndian.Uint16(r.Key[2*length+4:])
	return out, true
}

// hasPorts is about the protocols of the ruleset's set of them.
func hasPorts(protocol uint8) bool {
	switch expr.Protocol(protocol) {
	case expr.TCP, expr.UDP, expr.SCTP:
		return true
	default:
		return false
	}
}

// Reader reads one kernel again and again.
type Reader struct{ Kernel nft.Kernel }

// Read is this package's Read.
func (r Reader) Read(ctx context.Context) (flows.Reading, error) { return Read(ctx, r.Kernel) }
