package compile

import (
	"maps"
	"slices"
	"time"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

// What is denied, or would be, is recorded: in a dynamic set for each chain that it ends in, one element for each
// initiator, server, protocol and port, which counts. A repeat finds its element, whatever else happens. What is new is
// put in at a pace that each end has of its own, so that who tries all ports and addresses hides no other end's first
// denial. What is too fast, or finds no space, is counted as missed. Nothing of this changes a verdict.

// RecordTimeout is how long an element stays, from its first packet: a connection that is tried for longer gets another.
const RecordTimeout = time.Minute

// Sizes of sets, in elements. One costs some 200 bytes of the kernel's memory, and 16 for each CPU; space for its hash,
// 32 bytes, is taken in advance.
const (
	// decidedSize is for what policies decide, of each family and direction. Of egress it holds what 40 pods that scan can put in
	// at their pace; of ingress what one that scans each of 200 pods of the node can.
	decidedSize = 16384
	// strangeSize is for what is denied without a policy: some misconfiguration, or an attack.
	strangeSize = 2048
	// paceSize is for ends that had something new lately.
	paceSize = 16384
)

// The paces at which new connections of an end are recorded.
var (
	// pace allows one pod 400 different denials a minute.
	pace = expr.Limit{PerSecond: 5, Burst: 100}
	// pairPace allows one initiator 80 at each server a minute: whom it tries elsewhere does not matter to a server.
	pairPace = expr.Limit{PerSecond: 1, Burst: 20}
	// allowedPace is for connections that pass: a gateway has many at once when it starts.
	allowedPace = expr.Limit{PerSecond: 20, Burst: 1000}
)

// record is where what ends in a chain is recorded.
type record struct {
	chain string
	size  uint32
	// ends are an element's two addresses, by family.
	ends func(family) []expr.Field
	// tracked says that they are those of the connection, in the direction of which the server's port is.
	tracked bool
	limit   expr.Limit
	// pace names the sets of ends with their pace, and paced is what an end is; their types are key.
	pace  string
	paced func(family) []expr.Field
	key   func(family) string
	// then is what happens to a packet afterwards.
	then expr.Verdict
}

// setOf is the set of what ends in a chain.
func setOf(chain string, f family) string { return chain + suffix[f] }

var suffix = map[family]string{ipv4: "4", ipv6: "6"}

// missedCounter counts what ends in a chain and is not recorded.
func missedCounter(chain string) string { return "missed-" + chain }

// byPort is the chain of packets that go to a port of the server.
func byPort(chain string) string { return chain + "-port" }

func connectionEnds(f family) []expr.Field { return []expr.Field{initiator[f], server[f]} }
func oneAddress(f family) string           { return addressType[f] }
func twoAddresses(f family) string         { return nft.Key(addressType[f], addressType[f]) }

// records are all of them, but for those that are allowed.
func records(o shape) []record {
	first := func(ends func(family) []expr.Field) func(family) []expr.Field {
		return func(f family) []expr.Field { return ends(f)[:1] }
	}
	dropped := o.denied()
	byInitiator := record{
		size: decidedSize, ends: connectionEnds, tracked: true,
		limit: pace, pace: "pace", paced: first(connectionEnds), key: oneAddress, then: dropped,
	}
	byPair := byInitiator
	byPair.limit, byPair.pace, byPair.paced, byPair.key = pairPace, "pace-pair", connectionEnds, twoAddresses
	bySender := record{
		size: strangeSize, ends: ends,
		limit: pace, pace: "pace-sender", paced: first(ends), key: oneAddress, then: dropped,
	}
	// Who takes others' addresses has as many as it likes, but one link.
	byLink := bySender
	byLink.pace, byLink.paced = "pace-link", func(family) []expr.Field { return []expr.Field{expr.InName} }
	byLink.key = func(family) string { return expr.LinkName.String() }
	of := func(r record, chain string) record {
		r.chain = chain
		if _, passes := audits[chain]; passes {
			r.then = expr.GoTo(recordedChain)
		}
		return r
	}
	return []record{
		of(byInitiator, deniedEgress), of(byPair, deniedIngress), of(byInitiator, wouldDenyEgress), of(byPair, wouldDenyIngress),
		of(bySender, deniedUntracked), of(bySender, deniedUnknown), of(bySender, deniedUndecided), of(bySender, deniedUnroutable),
		of(byLink, deniedSpoofed),
	}
}

// allowedRecord is of connections that pass.
func allowedRecord() record {
	return record{
		chain: allowedChain, size: decidedSize, ends: connectionEnds, tracked: true,
		limit: allowedPace, pace: "pace-allowed", paced: func(f family) []expr.Field { return []expr.Field{initiator[f]} }, key: oneAddress,
		then: expr.GoTo(recordedChain),
	}
}

// addTo adds the record's chains and sets to a table. The rules of counted come first.
func (r record) addTo(t *nft.Table, comment string, counted ...nft.Rule) {
	t.Counters[missedCounter(r.chain)] = nft.Counter{Comment: "too many to record: " + comment}
	for _, f := range families {
		s := set(nft.Key(addressType[f], addressType[f], expr.InetProtocol.String(), expr.Service.String()), comment)
		s.Dynamic = nft.Dynamic{Size: r.size, Timeout: RecordTimeout}
		t.Sets[setOf(r.chain, f)] = s
		p := set(r.key(f), "how fast each may be recorded")
		p.Dynamic = nft.Dynamic{Size: paceSize, Timeout: RecordTimeout}
		t.Sets[r.paceOf(f)] = p
	}
	toPort := nft.RuleOf(expr.In(portedSet, expr.TransportProtocol), expr.GoTo(byPort(r.chain)))
	if r.tracked {
		toPort.Exprs = append(expr.List{expr.Original}, toPort.Exprs...)
	}
	t.Chains[byPort(r.chain)] = nft.Chain{Comment: comment, Rules: r.rules(expr.TransportDestination)}
	// Of a reply the server's port is the first. Of protocols without ports, these bytes have few values: the type of ICMP.
	t.Chains[r.chain] = nft.Chain{Comment: comment, Rules: slices.Concat(counted, []nft.Rule{toPort}, r.rules(expr.TransportSource))}
}

func (r record) paceOf(f family) string {
	if r.key(f) == expr.LinkName.String() {
		return r.pace
	}
	return r.pace + suffix[f]
}

// rules record a packet by a port of it.
func (r record) rules(port expr.Field) []nft.Rule {
	var known, first []nft.Rule
	for _, f := range families {
		key := append(slices.Clone(r.ends(f)), expr.TransportProtocol, port)
		known = append(known, nft.RuleOf(expr.In(setOf(r.chain, f), key...), r.then))
		first = append(first, nft.RuleOf(expr.Within(r.limit, r.paceOf(f), r.paced(f)...), expr.Count(setOf(r.chain, f), key...), r.then))
	}
	return slices.Concat(known, first, []nft.Rule{nft.RuleOf(expr.Counter{Name: missedCounter(r.chain)}, r.then)})
}

// Record is a set in which the kernel records connections.
type Record struct {
	Set string
	// IPv6 says that the keys have addresses of 16 bytes. They are those of the initiator and of the server; then come the
	// protocol and, if it has ports, the server's.
	IPv6 bool
	// Missed is the counter of what was not recorded.
	Missed string
	// Counter is the counter of all of it, a name of Denials or Audits; empty for what is allowed.
	Counter string
}

// Records returns the sets, those of allowed connections among them, which are there only if those are recorded.
func Records() []Record {
	var out []Record
	for _, r := range append(records(shape{}), allowedRecord()) {
		for _, f := range families {
			counter := r.chain
			if counter == allowedChain {
				counter = ""
			}
			out = append(out, Record{Set: setOf(r.chain, f), IPv6: f == ipv6, Missed: missedCounter(r.chain), Counter: counter})
		}
	}
	return out
}

// shape is what can be chosen of the parts that are the same on every node.
type shape struct {
	// allowed has connections recorded that pass.
	allowed bool
	// observe has nothing dropped or stamped.
	observe bool
}

// denied is what happens to denied packets in the end.
func (o shape) denied() expr.Verdict {
	if o.observe {
		return expr.Accept
	}
	return expr.Drop
}

// RecordAllowed has new connections recorded that pass, too; before the first object is set.
func (c *Compiler) RecordAllowed() {
	c.shape.allowed = true
	c.reshape()
}

// Observe has nothing dropped and no connection stamped, and all else as it is: what would be dropped is counted and
// recorded. Packets meet these rules before those of others, who may drop them. Connections are judged when they begin.
// Before the first object is set.
func (c *Compiler) Observe() {
	c.shape.observe = true
	c.reshape()
}

// AllowedSet is a set that is there if new connections are recorded that pass.
const AllowedSet = allowedChain + "4"

// Observes says whether a table that is in a kernel only observes.
func Observes(contents nft.Contents) bool {
	return contents.Chains[forwardChain].Base == forwardOf(shape{observe: true}).Base.In(TableFamily)
}

// ObservesOnly says so of a compiled table.
func ObservesOnly(table nft.Table) bool {
	base := table.Chains[forwardChain].Base
	return base != nil && *base == *forwardOf(shape{observe: true}).Base
}

// reshape writes what the shape changes.
func (c *Compiler) reshape() {
	t := skeleton(c.shape)
	for name, chain := range t.Chains {
		if name != sourceChain { // see BindAddresses
			c.tracker.SetChain(name, chain)
		}
	}
	now := c.tracker.Table()
	for name, s := range t.Sets {
		if _, there := now.Sets[name]; !there {
			c.tracker.AddSet(name, s)
		}
	}
	maps.Copy(now.Counters, t.Counters)
}
