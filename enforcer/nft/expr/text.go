package expr

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// String is nft's syntax; it is empty for no verdict.
func (e Verdict) String() string {
	switch e.Action {
	case AcceptPacket:
		return "accept"
	case DropPacket:
		return "drop"
	case JumpTo:
		return "jump " + e.Chain
	case GoToChain:
		return "goto " + e.Chain
	default:
		return ""
	}
}

// String is nft's syntax.
func (e Counter) String() string { return "counter name " + e.Name }

// String is nft's name of the protocol, or its number.
func (p Protocol) String() string {
	switch p {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "icmpv6"
	case SCTP:
		return "sctp"
	default:
		return strconv.Itoa(int(p))
	}
}

// String is nft's syntax.
func (e Transport) String() string {
	if e.Not {
		return "meta l4proto != " + e.Protocol.String()
	}
	return "meta l4proto " + e.Protocol.String()
}

// String is nft's syntax.
func (e ICMPv6Type) String() string { return "icmpv6 type " + spanText(int(e.First), int(e.Last)) }

func spanText(first, last int) string {
	if first == last {
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// stateNames are in the order of their bits.
var stateNames = []struct {
	state State
	name  string
}{{Invalid, "invalid"}, {Established, "established"}, {Related, "related"}, {New, "new"}, {Untracked, "untracked"}}

// String is nft's syntax.
func (s State) String() string {
	var names []string
	for _, of := range stateNames {
		if s&of.state != 0 {
			names = append(names, of.name)
		}
	}
	return "ct state " + strings.Join(names, ",")
}

// String is nft's syntax.
func (d Direction) String() string {
	if d == Reply {
		return "ct direction reply"
	}
	return "ct direction original"
}

// String is nft's syntax.
func (e MarkIs) String() string { return fmt.Sprintf("ct mark & 0x%08x == 0x%08x", e.Mask, e.Value) }

// String is nft's syntax.
func (e SetMark) String() string {
	return fmt.Sprintf("ct mark set ct mark & 0x%08x | 0x%08x", e.Keep, e.Value)
}

// String is nft's syntax.
func (e LinkKind) String() string {
	if e.Out {
		return fmt.Sprintf("meta oifkind %q", e.Kind)
	}
	return fmt.Sprintf("meta iifkind %q", e.Kind)
}

// String is nft's syntax.
func (e EtherType) String() string {
	return "ether type " + map[Network]string{IPv4: "ip", IPv6: "ip6", ARP: "arp"}[e.Network]
}

// String is nft's syntax.
func (RouteMissing) String() string { return "fib saddr . iif oif missing" }

// String is nft's syntax.
func (e ToKind) String() string {
	return "fib daddr type " + map[AddressKind]string{Local: "local", Broadcast: "broadcast"}[e.Kind]
}

// String is nft's syntax.
func (Options) String() string { return "ip hdrlength != 5" }

// String is nft's syntax.
func (RoutingHeader) String() string { return "exthdr rt exists" }

// String is nft's syntax.
func (e LongerThan) String() string { return fmt.Sprintf("ip6 length > %d", e.Bytes) }

// String is nft's syntax.
func (e HopLimit) String() string { return fmt.Sprintf("ip6 hoplimit %d", e.Hops) }

// String is nft's syntax, whose offset and length are in bits.
func (e Raw) String() string {
	not := ""
	if e.Not {
		not = "!= "
	}
	return fmt.Sprintf("@th,%d,%d %s0x%s", 8*e.Offset, 8*len(e.Bytes), not, hex.EncodeToString([]byte(e.Bytes)))
}

// String is nft's syntax.
func (e Port) String() string {
	return e.Field.String() + " " + spanText(int(e.First), int(e.Last))
}

// String is nft's syntax.
func (e Address) String() string { return e.Field.String() + " " + e.Address.String() }

// String is nft's syntax.
func (l Lookup) String() string {
	var b strings.Builder
	b.WriteString(concatenation(l.Fields()))
	switch {
	case l.Verdict:
		b.WriteString(" vmap")
	case l.Not:
		b.WriteString(" !=")
	}
	b.WriteString(" @" + l.Set)
	return b.String()
}

// ParseVerdict reads a verdict as String writes it, which is how elements of maps have theirs. What is none is the zero
// value.
func ParseVerdict(text string) Verdict {
	action, chain, leads := strings.Cut(text, " ")
	switch {
	case text == Accept.String():
		return Accept
	case text == Drop.String():
		return Drop
	case leads && action == "jump" && !strings.Contains(chain, " "):
		return Jump(chain)
	case leads && action == "goto" && !strings.Contains(chain, " "):
		return GoTo(chain)
	default:
		return Verdict{}
	}
}
