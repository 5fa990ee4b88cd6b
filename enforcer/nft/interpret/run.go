package interpret

import (
	"errors"
	"fmt"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// mostJumps is how deep chains may lead into one another: NFT_JUMP_STACK_SIZE of the kernel's nf_tables.h.
const mostJumps = 16

// run is one packet on its way. It visits the expressions of the rule that it is at.
type run struct {
	table    *Table
	packet   Packet
	counters []string
	recorded []Recorded
	// ports are the server's ports for which every rule so far decides alike.
	ports Ports
	// decided is the chain whose rule decided.
	decided string
	jumps   int
	// verdict is the present rule's, once it has one.
	verdict expr.Verdict
}

// errNoMatch leaves a rule.
var errNoMatch = errors.New("the packet does not match")

// chain returns the verdict that a chain leads to; the zero value if a packet falls off its end.
func (r *run) chain(name string) (expr.Verdict, error) {
	chain, found := r.table.chains[name]
	if !found {
		return expr.Verdict{}, fmt.Errorf("there is no chain %s", name)
	}
	if r.jumps++; r.jumps > mostJumps {
		return expr.Verdict{}, fmt.Errorf("chains lead into one another more than %d deep, at %s", mostJumps, name)
	}
	defer func() { r.jumps-- }()
	for _, rule := range chain.Rules {
		verdict, err := r.rule(rule.Exprs)
		if err != nil {
			return expr.Verdict{}, fmt.Errorf("chain %s: %w", name, err)
		}
		switch verdict.Action {
		case expr.AcceptPacket, expr.DropPacket:
			r.decided = name
			return verdict, nil
		case expr.GoToChain:
			return r.chain(verdict.Chain)
		case expr.JumpTo:
			if verdict, err = r.chain(verdict.Chain); err != nil || verdict.Action != expr.None {
				return verdict, err
			}
		case expr.None:
		}
	}
	return expr.Verdict{}, nil
}

// rule returns the verdict of a rule; the zero value if it does not match, or has none.
func (r *run) rule(list expr.List) (expr.Verdict, error) {
	r.verdict = expr.Verdict{}
	for _, e := range list {
		err := e.Visit(r)
		switch {
		case errors.Is(err, errNoMatch):
			return expr.Verdict{}, nil
		case err != nil:
			return expr.Verdict{}, err
		case r.verdict.Action != expr.None:
			return r.verdict, nil
		}
	}
	return expr.Verdict{}, nil
}

func matchIf(ok bool) error {
	if ok {
		return nil
	}
	return errNoMatch
}

// Verdict ends the rule.
func (r *run) Verdict(v expr.Verdict) error {
	r.verdict = v
	return nil
}

// Counter counts.
func (r *run) Counter(c expr.Counter) error {
	r.counters = append(r.counters, c.Name)
	return nil
}

// Transport compares the protocol. ARP has none.
func (r *run) Transport(t expr.Transport) error {
	return matchIf(r.packet.Network != expr.ARP && (r.packet.Protocol == t.Protocol) != t.Not)
}

// ICMPv6Type compares the type of a message.
func (r *run) ICMPv6Type(t expr.ICMPv6Type) error {
	p := &r.packet
	return matchIf(p.Network == expr.IPv6 && p.Protocol == expr.ICMPv6 && t.First <= p.ICMPv6Type && p.ICMPv6Type <= t.Last)
}

// State compares the state.
func (r *run) State(s expr.State) error { return matchIf(r.packet.State&s != 0) }

// Direction compares the packet's way in its connection.
func (r *run) Direction(d expr.Direction) error {
	return matchIf(r.hasConnection() && (r.packet.Reply == (d == expr.Reply)))
}

// MarkIs compares the mark. Without a connection there is none (nft_ct_get_eval).
func (r *run) MarkIs(m expr.MarkIs) error {
	return matchIf(r.hasConnection() && r.packet.Mark&m.Mask == m.Value)
}

// SetMark sets bits of the mark.
func (r *run) SetMark(m expr.SetMark) error {
	if !r.hasConnection() {
		return errNoMatch
	}
	r.packet.Mark = r.packet.Mark&m.Keep&^m.Value | m.Value
	return nil
}

func (r *run) hasConnection() bool { return r.packet.State&(expr.Invalid|expr.Untracked) == 0 }

// LinkKind compares the kind of a link.
func (r *run) LinkKind(l expr.LinkKind) error {
	if l.Out {
		return matchIf(r.packet.Out.Kind == l.Kind)
	}
	return matchIf(r.packet.In.Kind == l.Kind)
}

// EtherType compares the network protocol.
func (r *run) EtherType(e expr.EtherType) error { return matchIf(r.packet.Network == e.Network) }

// RouteMissing asks for the route back.
func (r *run) RouteMissing(expr.RouteMissing) error { return matchIf(r.packet.NoRouteBack) }

// ToKind asks what the destination is to the node.
func (r *run) ToKind(k expr.ToKind) error { return matchIf(r.packet.To == k.Kind) }

// Options asks for options of IPv4.
func (r *run) Options(expr.Options) error {
	return matchIf(r.packet.Network == expr.IPv4 && r.packet.Options)
}

// RoutingHeader asks for a header of IPv6.
func (r *run) RoutingHeader(expr.RoutingHeader) error {
	return matchIf(r.packet.Network == expr.IPv6 && r.packet.RoutingHeader)
}

// LongerThan compares the length.
func (r *run) LongerThan(l expr.LongerThan) error {
	return matchIf(r.packet.Network == expr.IPv6 && r.packet.Length > l.Bytes)
}

// HopLimit compares the hops that are left.
func (r *run) HopLimit(h expr.HopLimit) error {
	return matchIf(r.packet.Network == expr.IPv6 && r.packet.HopLimit == h.Hops)
}

// Raw compares bytes. A packet that ends before them never matches (nft_payload_eval).
func (r *run) Raw(b expr.Raw) error {
	end := int(b.Offset) + len(b.Bytes)
	if end > len(r.packet.Payload) {
		return errNoMatch
	}
	return matchIf((r.packet.Payload[b.Offset:end] == b.Bytes) != b.Not)
}

// Port compares a port.
func (r *run) Port(p expr.Port) error {
	port, ok := r.packet.port(p.Field)
	if p.Field == expr.ReplyPort {
		switch {
		case port < p.First:
			r.ports.Last = min(r.ports.Last, p.First-1)
		case port > p.Last:
			r.ports.First = max(r.ports.First, p.Last+1)
		default:
			r.ports = r.ports.and(Ports{p.First, p.Last})
		}
	}
	return matchIf(ok && p.First <= port && port <= p.Last)
}

// Address compares an address.
func (r *run) Address(a expr.Address) error {
	address, ok := r.packet.address(a.Field)
	return matchIf(ok && address == a.Address)
}

// Lookup looks fields up. A field that the packet does not have always ends the rule.
func (r *run) Lookup(l expr.Lookup) error {
	s, found := r.table.sets[l.Set]
	if !found {
		return fmt.Errorf("there is no set %s", l.Set)
	}
	fields := l.Fields()
	text, single, ok := r.keyOf(fields)
	if !ok {
		return errNoMatch
	}
	if fields[len(fields)-1] == expr.ReplyPort {
		r.ports = r.ports.and(s.portsLike(text, r.packet.Server.Port))
	}
	if s.dynamic {
		return matchIf((r.table.Dynamic == Known) != l.Not)
	}
	verdict, isIn := s.verdict(text, single)
	if l.Verdict {
		r.verdict = verdict
		return nil
	}
	return matchIf(isIn != l.Not)
}

// keyOf joins fields to a key; ok is false if the packet lacks one.
func (r *run) keyOf(fields []expr.Field) (text string, single key, ok bool) {
	for i, f := range fields {
		part, ok := r.packet.field(f)
		if !ok {
			return "", key{}, false
		}
		if i > 0 {
			text += " . "
		}
		text += part
		single.address, _ = r.packet.address(f)
		single.port, _ = r.packet.port(f)
	}
	return text, single, true
}

// Update notes what is put into a set, if there is space.
func (r *run) Update(u expr.Update) error {
	s, found := r.table.sets[u.Set]
	if !found || !s.dynamic {
		return fmt.Errorf("there is no dynamic set %s", u.Set)
	}
	text, _, ok := r.keyOf(u.Fields())
	if !ok || r.table.Dynamic == Full {
		return errNoMatch
	}
	if u.Limit == (expr.Limit{}) {
		r.recorded = append(r.recorded, Recorded{Set: u.Set, Key: text})
	}
	return nil
}
