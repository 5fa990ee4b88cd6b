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
// 32 bytes, is taken in advance. Each set of what is denied has space for what 40 ends can put in at their pace.
const (
	// decidedSize is for what policies decide, of each family and direction.
	decidedSize = 16384
	// strangeSize is for what is denied without a policy: some misconfiguration, or an attack.
	strangeSize = 4096
	// paceSize is for ends that had something new lately.
	paceSize = 16384
)

// The paces at which new connections of an end are recorded.
var (
	// pace allows one initiator 400 different denials a minute.
	pace = expr.Limit{Packets: 5, Per: time.Second, Burst: 100}
	// once is for what comes first, and serversPace for how many servers an initiator may have that at: all pods of a node,
	// for a scan of one server hides from no other what is denied there.
	once        = expr.Limit{Packets: 1, Per: time.Minute, Burst: 1}
	serversPace = expr.Limit{Packets: 1, Per: time.Second, Burst: 256}
	// restPace is for what an initiator tries besides, at all servers together.
	restPace = expr.Limit{Packets: 1, Per: time.Second, Burst: 20}
	// strangePace allows one sender, or one link, 100 a minute.
	strangePace = expr.Limit{Packets: 1, Per: time.Second, Burst: 40}
	// allowedPace is for connections that pass: a gateway has many at once when it starts.
	allowedPace = expr.Limit{Packets: 20, Per: time.Second, Burst: 1000}
)

// record is where what ends in a chain is recorded.
type record struct {
	chain string
	size  uint32
	// ends are an element's two addresses, by family.
	ends func(family) []expr.Field
	// tracked says that they are those of the connection, in the direction of which the server's port is.
	tracked bool
	// ways are asked one after another. What is new is put in by the first of which all bounds hold.
	ways []way
	// then is what happens to a packet afterwards.
	then expr.Verdict
}

// way is bounds, each of which takes what those before it let through.
type way []bound

// bound is a pace that each end has of its own.
type bound struct {
	limit expr.Limit
	// set names the sets of ends with their pace, and by is what an end is; their types are key.
	set string
	by  func(family) []expr.Field
	key func(family) string
}

// setOf is the set of what ends in a chain.
func setOf(chain string, f family) string { return chain + suffix[f] }

var suffix = map[family]string{ipv4: "4", ipv6: "6"}

// missedCounter counts what ends in a chain and is not recorded.
func missedCounter(chain string) string { return "missed-" + chain }

// byPort is the chain of packets that go to a port of the server.
func byPort(chain string) string { return chain + "-port" }

func connectionEnds(f family) []expr.Field { return []expr.Field{initiator[f], server[f]} }
func oneInitiator(f family) []expr.Field   { return []expr.Field{initiator[f]} }
func oneSender(f family) []expr.Field      { return []expr.Field{sender[f]} }
func oneLink(family) []expr.Field          { return []expr.Field{expr.InName} }
func oneAddress(f family) string           { return addressType[f] }
func twoAddresses(f family) string         { return nft.Key(addressType[f], addressType[f]) }
func linkName(family) string               { return expr.LinkName.String() }

// records are all of them, but for those that are allowed.
func records(o shape) []record {
	dropped := o.denied()
	ofEgress := record{
		size: decidedSize, ends: connectionEnds, tracked: true, then: dropped,
		ways: []way{{{pace, "pace", oneInitiator, oneAddress}}},
	}
	ofIngress := ofEgress
	ofIngress.ways = []way{
		{{once, "pace-first", connectionEnds, twoAddresses}, {serversPace, "pace-servers", oneInitiator, oneAddress}},
		{{restPace, "pace-rest", oneInitiator, oneAddress}},
	}
	bySender := record{
		size: strangeSize, ends: ends, then: dropped,
		ways: []way{{{strangePace, "pace-sender", oneSender, oneAddress}}},
	}
	// Who takes others' addresses has as many as it likes, but one link.
	byLink := bySender
	byLink.ways = []way{{{strangePace, "pace-link", oneLink, linkName}}}
	of := func(r record, chain string) record {
		r.chain = chain
		if _, passes := audits[chain]; passes {
			r.then = expr.GoTo(recordedChain)
		}
		return r
	}
	return []record{
		of(ofEgress, deniedEgress), of(ofIngress, deniedIngress), of(ofEgress, wouldDenyEgress), of(ofIngress, wouldDenyIngress),
		of(bySender, deniedUntracked), of(bySender, deniedUnknown), of(bySender, deniedUndecided), of(bySender, deniedUnroutable),
		of(byLink, deniedSpoofed),
	}
}

// allowedRecord is of connections that pass.
func allowedRecord() record {
	return record{
		chain: allowedChain, size: decidedSize, ends: connectionEnds, tracked: true, then: expr.GoTo(recordedChain),
		ways: []way{{{allowedPace, "pace-allowed", oneInitiator, oneAddress}}},
	}
}

// addTo adds the record's chains and sets to a table. The rules of counted come first.
func (r record) addTo(t *nft.Table, comment string, counted ...nft.Rule) {
	t.Counters[missedCounter(r.chain)] = nft.Counter{Comment: "too many to record: " + comment}
	for _, f := range families {
		s := set(nft.Key(addressType[f], addressType[f], expr.InetProtocol.String(), expr.Service.String()), comment)
		s.Dynamic = nft.Dynamic{Size: r.size, Timeout: RecordTimeout}
		t.Sets[setOf(r.chain, f)] = s
		for _, b := range slices.Concat(r.ways...) {
			p := set(b.key(f), "how fast each may be recorded")
			p.Dynamic = nft.Dynamic{Size: paceSize, Timeout: RecordTimeout}
			t.Sets[b.setOf(f)] = p
		}
	}
	toPort := nft.RuleOf(expr.In(portedSet, expr.TransportProtocol), expr.GoTo(byPort(r.chain)))
	if r.tracked {
		toPort.Exprs = append(expr.List{expr.Original}, toPort.Exprs...)
	}
	t.Chains[byPort(r.chain)] = nft.Chain{Comment: comment, Rules: r.rules(expr.TransportDestination)}
	// Of a reply the server's port is the first. Of protocols without ports, these bytes have few values: the type of ICMP.
	t.Chains[r.chain] = nft.Chain{Comment: comment, Rules: slices.Concat(counted, []nft.Rule{toPort}, r.rules(expr.TransportSource))}
}

func (b bound) setOf(f family) string {
	if b.key(f) == expr.LinkName.String() {
		return b.set
	}
	return b.set + suffix[f]
}

// rules record a packet by a port of it.
func (r record) rules(port expr.Field) []nft.Rule {
	var known, first []nft.Rule
	key := func(f family) []expr.Field { return append(slices.Clone(r.ends(f)), expr.TransportProtocol, port) }
	for _, f := range families {
		known = append(known, nft.RuleOf(expr.In(setOf(r.chain, f), key(f)...), r.then))
	}
	for _, w := range r.ways {
		for _, f := range families {
			var rule expr.List
			for _, b := range w {
				rule = append(rule, expr.Within(b.limit, b.setOf(f), b.by(f)...))
			}
			first = append(first, nft.RuleOf(append(rule, expr.Count(setOf(r.chain, f), key(f)...), r.then)...))
		}
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
