package wire

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// allBits is a whole mark.
const allBits = ^uint32(0)

// markBits returns the bits of the ct mark that a rule's expressions write or read.
func markBits(expressions []byte) uint32 {
	t := markTracer{held: map[uint32]heldMark{}}
	for _, element := range attributesOf(expressions) {
		t.expression(textOf(element, unix.NFTA_EXPR_NAME), attributeOf(element, unix.NFTA_EXPR_DATA))
	}
	return t.bits
}

// markTracer follows the ct mark through the registers of a rule.
type markTracer struct {
	bits uint32
	held map[uint32]heldMark // by register
}

// heldMark is a register's value that was made of the ct mark.
type heldMark struct {
	kept   uint32 // bits that are the mark's
	turned uint32 // bits that were turned, or of which nothing is known
}

func (t *markTracer) expression(name string, b []byte) {
	switch name {
	case "ct":
		t.connection(b)
	case "bitwise":
		t.bitwise(b)
	case "byteorder": // SREG is 1 and DREG 2, as of bitwise
		t.move(numberOf(b, unix.NFTA_BYTEORDER_SREG), numberOf(b, unix.NFTA_BYTEORDER_DREG), heldMark{allBits, allBits})
	case "cmp", "range": // NFTA_CMP_SREG, NFTA_RANGE_SREG
		t.bits |= t.held[numberOf(b, unix.NFTA_CMP_SREG)].kept
	case "lookup", "dynset": // with keys of several registers
		for _, h := range t.held {
			t.bits |= h.kept
		}
	case "meta": // "meta mark set ct mark"
		t.bits |= t.held[numberOf(b, unix.NFTA_META_SREG)].kept
	case "target", "match":
		t.bits |= xtBits(name, b)
	}
	if kind, ok := destinations[name]; ok {
		delete(t.held, numberOf(b, kind))
	}
}

// destinations are the attributes by which expressions name the register that they write, which then holds
// something else: linux/netfilter/nf_tables.h.
var destinations = map[string]uint16{
	"meta": unix.NFTA_META_DREG, "payload": unix.NFTA_PAYLOAD_DREG, "immediate": unix.NFTA_IMMEDIATE_DREG,
	"fib": unix.NFTA_FIB_DREG, "rt": unix.NFTA_RT_DREG, "numgen": unix.NFTA_NG_DREG, "exthdr": unix.NFTA_EXTHDR_DREG,
	"lookup": unix.NFTA_LOOKUP_DREG, "hash": unix.NFTA_HASH_DREG,
	"socket": 2, "tunnel": 2, "osf": 1, "xfrm": 1, // NFTA_SOCKET_DREG, NFTA_TUNNEL_DREG, NFTA_OSF_DREG, NFTA_XFRM_DREG
}

func (t *markTracer) connection(b []byte) {
	isMark := numberOf(b, unix.NFTA_CT_KEY) == unix.NFT_CT_MARK
	if to := numberOf(b, unix.NFTA_CT_DREG); to != 0 {
		delete(t.held, to)
		if isMark {
			t.held[to] = heldMark{kept: allBits}
		}
	}
	from := numberOf(b, unix.NFTA_CT_SREG)
	if from == 0 || !isMark {
		return
	}
	h := t.held[from] // nothing is kept if it is made of something else
	t.bits |= ^h.kept | h.turned
}

// bitwise reads "and MASK, exclusive or XOR". Shifts, and operations with another register, may put any bit
// anywhere.
func (t *markTracer) bitwise(b []byte) {
	from, to := numberOf(b, unix.NFTA_BITWISE_SREG), numberOf(b, unix.NFTA_BITWISE_DREG)
	mask := attributeOf(attributeOf(b, unix.NFTA_BITWISE_MASK), unix.NFTA_DATA_VALUE)
	xor := attributeOf(attributeOf(b, unix.NFTA_BITWISE_XOR), unix.NFTA_DATA_VALUE)
	h := t.held[from]
	if len(mask) == 4 && len(xor) == 4 {
		h.kept &= binary.NativeEndian.Uint32(mask)
		h.turned |= binary.NativeEndian.Uint32(xor)
	} else {
		h = heldMark{allBits, allBits}
	}
	t.move(from, to, h)
}

// move writes what is made of one register to another.
func (t *markTracer) move(from, to uint32, h heldMark) {
	_, ok := t.held[from]
	delete(t.held, to)
	if ok {
		t.held[to] = h
	}
}

// The modes of struct xt_connmark_tginfo1 and 2: linux/netfilter/xt_connmark.h.
const (
	connmarkSet     = 0
	connmarkSave    = 1
	connmarkRestore = 2
)

// xtBits reads what iptables-nft keeps as xtables has it: the target CONNMARK, and the match connmark.
func xtBits(kind string, b []byte) uint32 {
	// NFTA_MATCH_NAME, -REV and -INFO have the same numbers.
	name, info := textOf(b, unix.NFTA_TARGET_NAME), attributeOf(b, unix.NFTA_TARGET_INFO)
	word := func(i int) uint32 { return binary.NativeEndian.Uint32(info[4*i:]) }
	switch {
	case kind == "match" && name == "connmark":
		if len(info) < 9 { // struct xt_connmark_mtinfo1
			return allBits
		}
		return word(1)
	case kind != "target" || name != "CONNMARK":
		return 0
	case len(info) < 13: // struct xt_connmark_tginfo1
		return allBits
	}
	value, cleared, taken, last := word(0), word(1), word(2), info[12:]
	mode := last[0]
	if numberOf(b, unix.NFTA_TARGET_REV) >= 2 { // struct xt_connmark_tginfo2: a direction, a number of bits, the mode
		if len(last) < 3 {
			return allBits
		}
		mode = last[2]
		switch right, by := last[0] == 1, last[1]; {
		case by == 0:
		case mode == connmarkSet: // the whole mark is shifted
			return allBits
		case right:
			taken >>= by
		default:
			taken <<= by
		}
	}
	switch mode {
	case connmarkSet:
		return cleared | value
	case connmarkSave:
		return cleared | taken
	case connmarkRestore:
		return cleared // which is the bits that are read
	default:
		return allBits
	}
}
