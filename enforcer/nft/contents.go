package nft

import (
	"context"
	"math"

	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft/wire"
)

// Contents is what a kernel holds of a table, as far as it can be compared with a Table: rules come
// in the kernel's form, not in the one that they were written in.
type Contents struct {
	// Flagged says that the table has a flag: none is ours, and one of them, dormant, switches it off.
	Flagged bool
	// Dormant says that it is the flag dormant.
	Dormant bool
	// Left says that the table had an owner that is gone, and that this kernel would have it as its own.
	Left   bool
	Chains map[string]ChainContents
	// Sets are without their elements unless Elements is set.
	Sets     map[string]map[string]Element
	Elements bool
	Counters map[string]bool
	// Dynamic are the sets that rules put elements in, without comments and elements.
	Dynamic map[string]Set
}

// ChainContents is a chain and its rules.
type ChainContents struct {
	// Base names the hook of a base chain and its policy.
	Base  string
	Rules []string
}

// Contents lists the table; it is empty when there is none.
func (k realKernel) Contents(_ context.Context, elements bool) (Contents, error) {
	listing, err := k.direct.List(elements)
	if err != nil {
		return Contents{}, err
	}
	c := Contents{
		Flagged: listing.Flagged, Dormant: listing.Dormant, Left: listing.Left, Elements: elements, Dynamic: map[string]Set{},
		Chains: map[string]ChainContents{}, Sets: map[string]map[string]Element{}, Counters: map[string]bool{},
	}
	for name, chain := range listing.Chains {
		c.Chains[name] = ChainContents{chain.Base, chain.Rules}
	}
	for name, listed := range listing.Sets {
		elements := make(map[string]Element, len(listed))
		for key, value := range listed {
			elements[key] = Element{Value: value}
		}
		c.Sets[name] = elements
	}
	for name, set := range listing.Dynamic {
		c.Dynamic[name] = Set{Key: set.Key, Dynamic: Dynamic{set.Size, set.Timeout}}
	}
	for _, name := range listing.Counters {
		c.Counters[name] = true
	}
	return c, nil
}

// NextRevision follows one, and 0 follows 0: the kernel's revisions begin with 1, and leave 0 out
// (nf_tables_commit in the kernel's nf_tables_api.c).
func NextRevision(revision uint32) uint32 {
	if revision == 0 || revision == math.MaxUint32 {
		return min(revision, 1)
	}
	return revision + 1
}

// Revision returns the number of the kernel's nftables transactions, of all processes, so that
// nothing has changed as long as it stays.
func (k realKernel) Revision(context.Context) (uint32, error) { return k.direct.Revision() }

// ListCounters is knftables', without the nft program: metrics ask for it all the time. There are none
// without the table.
func (k realKernel) ListCounters(context.Context) ([]*knftables.Counter, error) {
	counts, err := k.direct.Counts()
	if err != nil {
		return nil, err
	}
	counters := make([]*knftables.Counter, 0, len(counts))
	for _, c := range counts {
		counters = append(counters, &knftables.Counter{Name: c.Name, Packets: &c.Packets, Bytes: &c.Bytes})
	}
	return counters, nil
}

// Recorded is an element that a rule put into a dynamic set.
type Recorded = wire.Recorded

// Recorder is a Kernel of which the elements of dynamic sets can be listed.
type Recorder interface {
	// Recorded calls visit with each element of a dynamic set; there are none without the set. If the list begins anew,
	// restart is called, and what came before is to be forgotten.
	Recorded(ctx context.Context, set string, visit func(Recorded), restart func()) error
}

// Recorded is Recorder's.
func (k realKernel) Recorded(ctx context.Context, set string, visit func(Recorded), restart func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return k.records.Recorded(set, visit, restart)
}
