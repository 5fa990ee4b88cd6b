package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"
)

func (e *encoder) ruleStep(verb Verb, o *knftables.Rule) error {
	if verb != Add {
		return errNotKnown
	}
	if err := only(o, knftables.Rule{Chain: o.Chain, Rule: o.Rule, Comment: o.Comment}); err != nil {
		return err
	}
	start := e.about(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND)
	defer e.endMessage(start)
	e.text(unix.NFTA_RULE_CHAIN, o.Chain)
	list := e.nest(unix.NFTA_RULE_EXPRESSIONS)
	r := rule{encoder: e, words: strings.Fields(o.Rule)}
	if err := r.statements(); err != nil {
		return err
	}
	e.end(list)
	return e.comment(unix.NFTA_RULE_USERDATA, o.Comment)
}

// rule is what remains to be read of a rule in nft's syntax, and what is known of the packets that
// get this far.
type rule struct {
	*encoder
	words   []string
	network byte // of the headers that are read, NFPROTO_*
	tuple   byte // of the addresses of the connection that are read
	// transported says that the transport protocol was matched, ports that it has ports.
	transported, ports bool
}

// take takes the next words if they are these.
func (r *rule) take(words ...string) bool {
	if len(r.words) < len(words) || !slices.Equal(r.words[:len(words)], words) {
		return false
	}
	r.words = r.words[len(words):]
	return true
}

// next takes the next word; it is empty when there is none.
func (r *rule) next() string {
	if len(r.words) == 0 {
		return ""
	}
	word := r.words[0]
	r.words = r.words[1:]
	return word
}

// statements reads matches and statements up to the end, which a verdict must be: what follows one
// is never reached.
func (r *rule) statements() error {
	if len(r.words) == 0 {
		return errors.New("an empty rule")
	}
	for len(r.words) > 0 {
		if code, chain, ok := parseVerdict(r.words); ok {
			r.immediate(code, chain)
			return nil
		}
		if err := r.statement(); err != nil {
			return err
		}
	}
	return nil
}

func (r *rule) statement() error {
	all := strings.Join(r.words, " ")
	var err error
	switch {
	case r.take("meta", "l4proto", "!="):
		err = r.notTransport()
	case r.take("meta", "l4proto"):
		err = r.transport()
	case r.take("meta", "nfproto", "ipv4"):
		err = r.onlyOf(unix.NFPROTO_IPV4)
	case r.take("meta", "iifkind"):
		err = r.linkKind(metaInKind)
	case r.take("meta", "oifkind"):
		err = r.linkKind(metaOutKind)
	case r.take("fib", "daddr", "type", "broadcast"):
		r.toKind(unix.RTN_BROADCAST)
	case r.take("fib", "daddr", "type", "local"):
		r.toKind(unix.RTN_LOCAL)
	case r.take("ip", "hdrlength", "!=", "5"):
		err = r.withOptions()
	case r.take("fib", "saddr", ".", "iif", "oif", "missing"):
		r.routeMissing()
	case r.take("ether", "type"):
		err = r.etherType()
	case strings.HasPrefix(all, "@th,"):
		err = r.raw()
	case r.take("exthdr", "rt", "exists"):
		err = r.routingHeader()
	case r.take("ct", "state"):
		err = r.state()
	case r.take("ct", "mark", "set", "ct", "mark", "&"):
		err = r.setMark()
	case r.take("ct", "mark", "&"):
		err = r.matchMark()
	case r.take("icmpv6", "type"):
		err = r.icmpv6Type()
	case r.take("ip6", "length", ">"):
		err = r.longerThan()
	case r.take("ip6", "hoplimit"):
		err = r.hopLimit()
	case r.take("counter", "name"):
		r.counter(r.next())
	default:
		err = r.keys()
	}
	if err != nil {
		return fmt.Errorf("a rule with %q: %w", all, err)
	}
	return nil
}

var errSyntax = errors.New("not known to package wire")

// parseVerdict reads a verdict that nothing follows.
func parseVerdict(words []string) (code int32, chain string, ok bool) {
	switch {
	case len(words) == 1 && words[0] == "accept":
		return acceptCode, "", true
	case len(words) == 1 && words[0] == "drop":
		return dropCode, "", true
	case len(words) == 2 && words[0] == "jump":
		return unix.NFT_JUMP, words[1], true
	case len(words) == 2 && words[0] == "goto":
		return unix.NFT_GOTO, words[1], true
	default:
		return 0, "", false
	}
}

var transports = map[string]byte{
	"icmp": unix.IPPROTO_ICMP, "icmpv6": unix.IPPROTO_ICMPV6,
	"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP,
}

func (r *rule) transport() error {
	name := r.next()
	number, ok := transports[name]
	if !ok {
		return errSyntax
	}
	if r.transported {
		return errSyntax
	}
	r.transported, r.ports = true, name == "tcp" || name == "udp" || name == "sctp"
	r.meta(unix.NFT_META_L4PROTO)
	r.compare(unix.NFT_CMP_EQ, number)
	return nil
}

// states are the bits of a connection's state: NF_CT_STATE_BIT of nf_conntrack_common.h.
var states = map[string]uint32{"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 0x40}

func (r *rule) state() error {
	var mask uint32
	for word := range strings.SplitSeq(r.next(), ",") {
		bit, ok := states[word]
		if !ok {
			return errSyntax
		}
		mask |= bit
	}
	r.connection(unix.NFT_CT_STATE, noDirection, 0)
	r.bitwise(mask, 0)
	r.compare(unix.NFT_CMP_NEQ, hostOrder(0)...)
	return nil
}

func parseNumber(word string) (uint32, error) {
	n, err := strconv.ParseUint(word, 0, 32)
	return uint32(n), err
}

// matchMark reads "MASK == VALUE".
func (r *rule) matchMark() error {
	mask, err := parseNumber(r.next())
	if err != nil || !r.take("==") {
		return errSyntax
	}
	value, err := parseNumber(r.next())
	if err != nil {
		return errSyntax
	}
	r.connection(unix.NFT_CT_MARK, noDirection, 0)
	r.bitwise(mask, 0)
	r.compare(unix.NFT_CMP_EQ, hostOrder(value)...)
	return nil
}

// setMark reads "MASK | VALUE".
func (r *rule) setMark() error {
	mask, err := parseNumber(r.next())
	if err != nil || !r.take("|") {
		return errSyntax
	}
	value, err := parseNumber(r.next())
	if err != nil {
		return errSyntax
	}
	r.connection(unix.NFT_CT_MARK, noDirection, 0)
	// The kernel knows "and" and "exclusive or": what is to be set is cleared before.
	r.bitwise(mask&^value, value)
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

var errMixed = errors.New("addresses of both families, or of both a packet and its connection")

// connectionAddress loads an address of the connection, which is of that family, or the rule ends.
func (r *rule) connectionAddress(protocol byte, key uint32, direction, register int) error {
	if register == 0 && r.network != 0 || r.network != 0 && r.network != protocol || r.tuple != 0 && r.tuple != protocol {
		return errMixed
	}
	r.tuple = protocol
	r.connection(key, direction, register)
	return nil
}

func (r *rule) icmpv6Type() error {
	if r.network != 0 && r.network != unix.NFPROTO_IPV6 || r.transported {
		return errSyntax
	}
	first, last, err := span(r.next(), 8)
	if err != nil {
		return err
	}
	if err := r.onlyOf(unix.NFPROTO_IPV6); err != nil {
		return err
	}
	r.meta(unix.NFT_META_L4PROTO)
	r.compare(unix.NFT_CMP_EQ, unix.IPPROTO_ICMPV6)
	r.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, 0) // struct icmp6hdr
	r.within([]byte{byte(first)}, []byte{byte(last)})
	return nil
}

// withOptions matches packets whose header is longer than it is without options.
func (r *rule) withOptions() error {
	if err := r.onlyOf(unix.NFPROTO_IPV4); err != nil {
		return err
	}
	r.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 0, 1, 0) // struct iphdr
	r.bits([]byte{0x0f}, []byte{0})
	r.compare(unix.NFT_CMP_NEQ, 5)
	return nil
}

func (r *rule) hopLimit() error {
	limit, err := strconv.ParseUint(r.next(), 10, 8)
	if err != nil {
		return errSyntax
	}
	if err := r.onlyOf(unix.NFPROTO_IPV6); err != nil {
		return err
	}
	r.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 7, 1, 0) // struct ipv6hdr
	r.compare(unix.NFT_CMP_EQ, byte(limit))
	return nil
}

// longerThan matches packets with more behind the header than a number of bytes.
func (r *rule) longerThan() error {
	length, err := strconv.ParseUint(r.next(), 10, 16)
	if err != nil {
		return errSyntax
	}
	if err := r.onlyOf(unix.NFPROTO_IPV6); err != nil {
		return err
	}
	r.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, 4, 2, 0) // struct ipv6hdr
	r.compare(unix.NFT_CMP_GT, binary.BigEndian.AppendUint16(nil, uint16(length))...)
	return nil
}

// routingHeader matches packets that have one: RFC 8200, section 4.4.
func (r *rule) routingHeader() error {
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

// span reads "N" or "N-M".
func span(word string, bits int) (first, last uint64, err error) {
	from, to, isRange := strings.Cut(word, "-")
	if !isRange {
		to = from
	}
	first, err = strconv.ParseUint(from, 10, bits)
	if err != nil {
		return 0, 0, errSyntax
	}
	last, err = strconv.ParseUint(to, 10, bits)
	if err != nil || last < first {
		return 0, 0, errSyntax
	}
	return first, last, nil
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
