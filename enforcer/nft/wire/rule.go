package wire

import (
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// Rule is a rule as the object of a step. Its text is empty: see Text.
type Rule struct {
	knftables.Rule
	Exprs expr.List
}

// Text is the rule as the nft program reads it.
func (r *Rule) Text() *knftables.Rule {
	text := r.Rule
	text.Rule = r.Exprs.String()
	return &text
}

func (e *encoder) ruleStep(verb Verb, o *Rule) error {
	if verb != Add {
		return errNotKnown
	}
	if err := only(&o.Rule, knftables.Rule{Chain: o.Chain, Comment: o.Comment}); err != nil {
		return err
	}
	if err := endsWithVerdict(o.Exprs); err != nil {
		return err
	}
	start := e.about(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND)
	defer e.endMessage(start)
	e.text(unix.NFTA_RULE_CHAIN, o.Chain)
	list := e.nest(unix.NFTA_RULE_EXPRESSIONS)
	if err := o.Exprs.Visit(&rule{encoder: e}); err != nil {
		return err
	}
	e.end(list)
	return e.comment(unix.NFTA_RULE_USERDATA, o.Comment)
}

// endsWithVerdict makes sure that nothing follows a verdict, for it would never be reached.
func endsWithVerdict(list expr.List) error {
	if len(list) == 0 {
		return errors.New("an empty rule")
	}
	for _, e := range list[:len(list)-1] {
		if _, isVerdict := e.(expr.Verdict); isVerdict {
			return errors.New("a rule that goes on after a verdict")
		}
	}
	return nil
}

// rule writes the expressions of a rule, and holds what is known of the packets that get this far.
type rule struct {
	*encoder
	network byte // of the headers that are read, NFPROTO_*
	tuple   byte // of the addresses of the connection that are read
	// transported says that the transport protocol was matched, ports that it has ports.
	transported, ports bool
}

var _ expr.Visitor = (*rule)(nil)

var (
	errMixed = errors.New("addresses of both families, or of both a packet and its connection")
	errTwice = errors.New("the transport protocol is matched twice")
	errRange = errors.New("a range that ends before it begins, or none")
)

// Verdict ends a rule.
func (r *rule) Verdict(v expr.Verdict) error {
	code, chain, err := verdictCode(v)
	if err == nil {
		r.immediate(code, chain)
	}
	return err
}

// verdictCode returns the kernel's number of a verdict, and the chain that it leads to.
func verdictCode(v expr.Verdict) (code int32, chain string, err error) {
	leads := v.Action == expr.JumpTo || v.Action == expr.GoToChain
	switch {
	case leads != (v.Chain != ""):
		return 0, "", errors.New("a verdict that leads to no chain")
	case v.Action == expr.AcceptPacket:
		return acceptCode, "", nil
	case v.Action == expr.DropPacket:
		return dropCode, "", nil
	case v.Action == expr.JumpTo:
		return unix.NFT_JUMP, v.Chain, nil
	case v.Action == expr.GoToChain:
		return unix.NFT_GOTO, v.Chain, nil
	default:
		return 0, "", errors.New("no verdict")
	}
}

// Counter counts.
func (r *rule) Counter(c expr.Counter) error {
	r.expression("objref", func() {
		r.uint32(unix.NFTA_OBJREF_IMM_TYPE, unix.NFT_OBJECT_COUNTER)
		r.text(unix.NFTA_OBJREF_IMM_NAME, c.Name)
	})
	return nil
}

// Transport matches a protocol. One that must not be says nothing about what follows.
func (r *rule) Transport(t expr.Transport) error {
	if r.transported {
		return errTwice
	}
	r.meta(unix.NFT_META_L4PROTO)
	if t.Not {
		r.compare(unix.NFT_CMP_NEQ, byte(t.Protocol))
		return nil
	}
	r.transported = true
	r.ports = t.Protocol == expr.TCP || t.Protocol == expr.UDP || t.Protocol == expr.SCTP
	r.compare(unix.NFT_CMP_EQ, byte(t.Protocol))
	return nil
}

// ICMPv6Type matches IPv6 and ICMPv6 first, as nft does.
func (r *rule) ICMPv6Type(t expr.ICMPv6Type) error {
	switch {
	case r.transported:
		return errTwice
	case t.Last < t.First:
		return errRange
	}
	if err := r.onlyOf(unix.NFPROTO_IPV6); err != nil {
		return err
	}
	r.meta(unix.NFT_META_L4PROTO)
	r.compare(unix.NFT_CMP_EQ, unix.IPPROTO_ICMPV6)
	r.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, 0) // struct icmp6hdr
	r.within([]byte{t.First}, []byte{t.Last})
	return nil
}

// State matches any of several states.
func (r *rule) State(s expr.State) error {
	r.connection(unix.NFT_CT_STATE, noDirection, 0)
	r.bitwise(uint32(s), 0)
	r.compare(unix.NFT_CMP_NEQ, hostOrder(0)...)
	return nil
}

// Direction compares the packet's way in its connection.
func (r *rule) Direction(d expr.Direction) error {
	r.connection(unix.NFT_CT_DIRECTION, noDirection, 0)
	r.compare(unix.NFT_CMP_EQ, byte(d))
	return nil
}

// MarkIs compares some bits of the mark.
func (r *rule) MarkIs(m expr.MarkIs) error {
	r.connection(unix.NFT_CT_MARK, noDirection, 0)
	r.bitwise(m.Mask, 0)
	r.compare(unix.NFT_CMP_EQ, hostOrder(m.Value)...)
	return nil
}

// SetMark sets bits. The kernel knows "and" and "exclusive or": what is to be set is cleared before.
func (r *rule) SetMark(m expr.SetMark) error {
	r.connection(unix.NFT_CT_MARK, noDirection, 0)
	r.bitwise(m.Keep&^m.Value, m.Value)
	r.setConnectionMark()
	return nil
}

// onlyOf makes sure that packets are of a network protocol, as nft does, where the packet's own
// header is read.
func (r *rule) onlyOf(protocol byte) error {
	switch {
	case r.network == 0 && r.tuple != 0, r.network != 0 && r.network != protocol:
		return errMixed
	case r.network == 0:
		r.network = protocol
		r.meta(unix.NFT_META_NFPROTO)
		r.compare(unix.NFT_CMP_EQ, protocol)
	}
	return nil
}

// Options compares the header's length in words.
func (r *rule) Options(expr.Options) error {
	if err := r.onlyOf(unix.NFPROTO_IPV4); err != nil {
		return err
	}
	r.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 0, 1, 0) // struct iphdr
	r.bits([]byte{0x0f}, []byte{0})
	r.compare(unix.NFT_CMP_NEQ, 5)
	return nil
}

// HopLimit compares the hops that are left.
func (r *rule) HopLimit(h expr.HopLimit) error {
	if err := r.onlyOf(unix.NFPROTO_IPV6); err != nil {
		return err
	}
	r.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 7, 1, 0) // struct ipv6hdr
	r.compare(unix.NFT_CMP_EQ, h.Hops)
	return nil
}

// LongerThan compares the length of what is behind the header.
func (r *rule) LongerThan(l expr.LongerThan) error {
	if err := r.onlyOf(unix.NFPROTO_IPV6); err != nil {
		return err
	}
	r.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 4, 2, 0) // struct ipv6hdr
	r.compare(unix.NFT_CMP_GT, binary.BigEndian.AppendUint16(nil, l.Bytes)...)
	return nil
}

// RoutingHeader asks whether there is one.
func (r *rule) RoutingHeader(expr.RoutingHeader) error {
	if err := r.onlyOf(unix.NFPROTO_IPV6); err != nil {
		return err
	}
	r.expression("exthdr", func() {
		r.uint32(unix.NFTA_EXTHDR_DREG, unix.NFT_REG_1)
		r.bytes(unix.NFTA_EXTHDR_TYPE, []byte{unix.IPPROTO_ROUTING})
		r.uint32(unix.NFTA_EXTHDR_OFFSET, 0)
		r.uint32(unix.NFTA_EXTHDR_LEN, 1)
		r.uint32(unix.NFTA_EXTHDR_FLAGS, unix.NFT_EXTHDR_F_PRESENT)
	})
	r.compare(unix.NFT_CMP_EQ, 1)
	return nil
}

// within compares with a range.
func (r *rule) within(first, last []byte) {
	if slices.Equal(first, last) {
		r.compare(unix.NFT_CMP_EQ, first...)
		return
	}
	r.compare(unix.NFT_CMP_GTE, first...)
	r.compare(unix.NFT_CMP_LTE, last...)
}
