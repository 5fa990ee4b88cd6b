// Package expr has the expressions of nftables rules, as values. Their text is nft's syntax; package wire encodes them
// for the kernel, and package interpret evaluates them.
package expr

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Expr is one match or statement of a rule. Two that mean the same compare equal.
type Expr interface {
	fmt.Stringer
	// Visit calls the method of the visitor for this kind of expression.
	Visit(v Visitor) error
}

// Visitor has a method for each kind of expression, so that a new kind does not compile until everybody who reads
// rules has an answer to it.
type Visitor interface {
	Verdict(Verdict) error
	Counter(Counter) error
	Transport(Transport) error
	ICMPv6Type(ICMPv6Type) error
	State(State) error
	MarkIs(MarkIs) error
	SetMark(SetMark) error
	LinkKind(LinkKind) error
	EtherType(EtherType) error
	RouteMissing(RouteMissing) error
	ToKind(ToKind) error
	Options(Options) error
	RoutingHeader(RoutingHeader) error
	LongerThan(LongerThan) error
	HopLimit(HopLimit) error
	Raw(Raw) error
	Port(Port) error
	Address(Address) error
	Direction(Direction) error
	Lookup(Lookup) error
	Update(Update) error
}

// List is the expressions of one rule. A packet that one of them does not match leaves the rule there.
type List []Expr

// String is the rule in nft's syntax.
func (l List) String() string {
	words := make([]string, len(l))
	for i, e := range l {
		words[i] = e.String()
	}
	return strings.Join(words, " ")
}

// Visit visits each expression, up to the first error.
func (l List) Visit(v Visitor) error {
	for _, e := range l {
		if err := e.Visit(v); err != nil {
			return fmt.Errorf("a rule with %q: %w", e, err)
		}
	}
	return nil
}

// Equal says whether two rules have the same expressions in the same order.
func (l List) Equal(o List) bool { return slices.Equal(l, o) }

// Join returns a rule of the expressions of all lists, which it shares no memory with.
func Join(lists ...List) List { return slices.Concat(lists...) }

// Action is what a verdict does with a packet.
type Action uint8

// The actions that rules have. Jump comes back when a chain has no verdict, GoTo does not.
const (
	None Action = iota
	AcceptPacket
	DropPacket
	JumpTo
	GoToChain
)

// Verdict ends a rule. Chain is where JumpTo and GoToChain lead. The zero value is no verdict.
type Verdict struct {
	Action Action
	Chain  string
}

// The verdicts without a chain.
var (
	Accept = Verdict{Action: AcceptPacket}
	Drop   = Verdict{Action: DropPacket}
)

// Jump leads to a chain, and back to the next rule.
func Jump(chain string) Verdict { return Verdict{JumpTo, chain} }

// GoTo leads to a chain, and from there to where the present one would have come back to.
func GoTo(chain string) Verdict { return Verdict{GoToChain, chain} }

// Counter counts packets with the named counter.
type Counter struct{ Name string }

// Protocol is the number of a transport protocol: netinet/in.h.
type Protocol uint8

// The protocols that rules name.
const (
	ICMP   Protocol = 1
	TCP    Protocol = 6
	UDP    Protocol = 17
	ICMPv6 Protocol = 58
	SCTP   Protocol = 132
)

// Transport matches packets of a protocol, or of any other.
type Transport struct {
	Protocol Protocol
	Not      bool
}

// Of matches packets of a transport protocol.
func Of(p Protocol) Transport { return Transport{Protocol: p} }

// ICMPv6Type matches ICMPv6 messages of types First to Last.
type ICMPv6Type struct{ First, Last uint8 }

// State matches packets by the state of their connection; it is several states at a time.
type State uint32

// The states of a connection: NF_CT_STATE_BIT of the kernel's nf_conntrack_common.h.
const (
	Invalid     State = 1
	Established State = 2
	Related     State = 4
	New         State = 8
	Untracked   State = 0x40
)

// Direction matches packets by the way that they go in their connection.
type Direction uint8

// The directions: IP_CT_DIR_* of nf_conntrack_tuple_common.h.
const (
	Original Direction = 0
	Reply    Direction = 1
)

// MarkIs matches packets whose connection's mark has this value in the masked bits.
type MarkIs struct{ Mask, Value uint32 }

// SetMark sets bits of the connection's mark, and keeps the bits of the mask.
type SetMark struct{ Keep, Value uint32 }

// LinkKind matches packets that come by a link of this kind, such as "veth", or go out by one.
type LinkKind struct {
	Out  bool
	Kind string
}

// Network is a network protocol, as frames of a bridge name it.
type Network uint8

// The network protocols that rules name.
const (
	IPv4 Network = iota + 1
	IPv6
	ARP
)

// EtherType matches frames of a bridge by their type. A frame with a VLAN tag has the tag's type.
type EtherType struct{ Network Network }

// RouteMissing matches packets whose source is not routed to where they come from.
type RouteMissing struct{}

// AddressKind is what an address is to the node: RTN_* of linux/rtnetlink.h.
type AddressKind uint32

// The kinds of addresses that rules name: the node's own, and those for every host on a link.
const (
	Local     AddressKind = 2
	Broadcast AddressKind = 3
)

// ToKind matches packets to an address of a kind.
type ToKind struct{ Kind AddressKind }

// Options matches IPv4 packets that have options: their header is longer than it is without.
type Options struct{}

// RoutingHeader matches IPv6 packets that have one: RFC 8200, section 4.4.
type RoutingHeader struct{}

// LongerThan matches IPv6 packets with more bytes than that behind their header.
type LongerThan struct{ Bytes uint16 }

// HopLimit matches IPv6 packets with so many hops left.
type HopLimit struct{ Hops uint8 }

// Raw compares bytes behind the network header. nft has no words for what a neighbour solicitation is about before
// its version 1.0.7, and none for options of these messages.
type Raw struct {
	// Offset is in bytes.
	Offset uint32
	Not    bool
	// Bytes are 1 to 16.
	Bytes string
}

// Port matches packets of which a field is First to Last.
type Port struct {
	Field       Field
	First, Last uint16
}

// Address matches packets of which a field is an address.
type Address struct {
	Field   Field
	Address netip.Addr
}

// MostKeys is how many fields can be looked up together.
const MostKeys = 4

// Lookup looks fields up in a set, and goes on if they are there, or are not; or it takes the verdict that a map has
// for them, if it has one.
type Lookup struct {
	// Keys are the fields, one after another; the rest is 0.
	Keys [MostKeys]Field
	Set  string
	// Not goes on if they are not there. Verdict says that the set is a map of verdicts.
	Not, Verdict bool
}

func keys(fields []Field) (keys [MostKeys]Field) {
	if n := copy(keys[:], fields); n < len(fields) || n == 0 {
		panic(fmt.Sprintf("%d fields to look up: 1 to %d can be", len(fields), MostKeys))
	}
	return keys
}

// In matches packets whose fields are in a set.
func In(set string, fields ...Field) Lookup { return Lookup{Keys: keys(fields), Set: set} }

// NotIn matches packets whose fields are not in a set.
func NotIn(set string, fields ...Field) Lookup {
	return Lookup{Keys: keys(fields), Set: set, Not: true}
}

// By takes the verdict that a map has for fields.
func By(verdicts string, fields ...Field) Lookup {
	return Lookup{Keys: keys(fields), Set: verdicts, Verdict: true}
}

// Fields are the keys that are used.
func (l Lookup) Fields() []Field { return used(l.Keys[:]) }

func used(keys []Field) []Field {
	if n := slices.Index(keys, 0); n >= 0 {
		return keys[:n]
	}
	return keys
}
