package wire

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// registerOf returns the number of a register, which is counted in words of four bytes: those that
// begin one of 16 bytes have its number (nft_dump_register of the kernel's nf_tables_api.c).
func registerOf(word int) uint32 {
	if word%4 == 0 {
		return unix.NFT_REG_1 + uint32(word/4)
	}
	return unix.NFT_REG32_00 + uint32(word)
}

// expression writes an expression of a rule.
func (r *rule) expression(name string, write func()) {
	element := r.nest(unix.NFTA_LIST_ELEM)
	r.text(unix.NFTA_EXPR_NAME, name)
	data := r.nest(unix.NFTA_EXPR_DATA)
	write()
	r.end(data)
	r.end(element)
}

func (r *rule) meta(key uint32) {
	r.expression("meta", func() {
		r.uint32(unix.NFTA_META_DREG, unix.NFT_REG_1)
		r.uint32(unix.NFTA_META_KEY, key)
	})
}

// noDirection is for what a connection has one of.
const noDirection = -1

// connection loads something of the packet's connection.
func (r *rule) connection(key uint32, direction, register int) {
	r.expression("ct", func() {
		r.uint32(unix.NFTA_CT_DREG, registerOf(register))
		r.uint32(unix.NFTA_CT_KEY, key)
		if direction != noDirection {
			r.bytes(unix.NFTA_CT_DIRECTION, []byte{byte(direction)})
		}
	})
}

func (r *rule) setConnectionMark() {
	r.expression("ct", func() {
		r.uint32(unix.NFTA_CT_KEY, unix.NFT_CT_MARK)
		r.uint32(unix.NFTA_CT_SREG, unix.NFT_REG_1)
	})
}

func (r *rule) payload(base, offset, length uint32, register int) {
	r.expression("payload", func() {
		r.uint32(unix.NFTA_PAYLOAD_DREG, registerOf(register))
		r.uint32(unix.NFTA_PAYLOAD_BASE, base)
		r.uint32(unix.NFTA_PAYLOAD_OFFSET, offset)
		r.uint32(unix.NFTA_PAYLOAD_LEN, length)
	})
}

func (r *rule) compare(operation uint32, value ...byte) {
	r.expression("cmp", func() {
		r.uint32(unix.NFTA_CMP_SREG, unix.NFT_REG_1)
		r.uint32(unix.NFTA_CMP_OP, operation)
		r.data(unix.NFTA_CMP_DATA, value)
	})
}

// bitwise keeps the bits of a mask, then turns those of another: of a number in host order.
func (r *rule) bitwise(mask, xor uint32) { r.bits(hostOrder(mask), hostOrder(xor)) }

// bits does so with a value of any length.
func (r *rule) bits(value, xor []byte) {
	r.expression("bitwise", func() {
		r.uint32(unix.NFTA_BITWISE_SREG, unix.NFT_REG_1)
		r.uint32(unix.NFTA_BITWISE_DREG, unix.NFT_REG_1)
		r.uint32(unix.NFTA_BITWISE_LEN, uint32(len(value)))
		r.data(unix.NFTA_BITWISE_MASK, value)
		r.data(unix.NFTA_BITWISE_XOR, xor)
	})
}

// lookup looks the registers up in a set, or for a verdict in a map.
func (r *rule) lookup(set string, inverted, verdicts bool) {
	r.expression("lookup", func() {
		r.text(unix.NFTA_LOOKUP_SET, set)
		r.uint32(unix.NFTA_LOOKUP_SREG, unix.NFT_REG_1)
		if verdicts {
			r.uint32(unix.NFTA_LOOKUP_DREG, unix.NFT_REG_VERDICT)
		}
		if inverted {
			r.uint32(unix.NFTA_LOOKUP_FLAGS, unix.NFT_LOOKUP_F_INV)
		}
	})
}

// dynset puts the registers into a set, with a counter or a limit of each element.
func (r *rule) dynset(u expr.Update) {
	r.expression("dynset", func() {
		r.uint32(unix.NFTA_DYNSET_SREG_KEY, unix.NFT_REG_1)
		r.uint32(unix.NFTA_DYNSET_OP, unix.NFT_DYNSET_OP_UPDATE)
		r.text(unix.NFTA_DYNSET_SET_NAME, u.Set)
		each := r.nest(unix.NFTA_DYNSET_EXPR)
		if u.Limit == (expr.Limit{}) {
			r.text(unix.NFTA_EXPR_NAME, counterName)
			data := r.nest(unix.NFTA_EXPR_DATA)
			r.uint64(unix.NFTA_COUNTER_BYTES, 0)
			r.uint64(unix.NFTA_COUNTER_PACKETS, 0)
			r.end(data)
		} else {
			r.text(unix.NFTA_EXPR_NAME, "limit")
			data := r.nest(unix.NFTA_EXPR_DATA)
			r.uint64(unix.NFTA_LIMIT_RATE, uint64(u.Limit.Packets))
			r.uint64(unix.NFTA_LIMIT_UNIT, uint64(u.Limit.Per/time.Second))
			r.uint32(unix.NFTA_LIMIT_BURST, u.Limit.Burst)
			r.uint32(unix.NFTA_LIMIT_TYPE, unix.NFT_LIMIT_PKTS)
			r.uint32(unix.NFTA_LIMIT_FLAGS, 0)
			r.end(data)
		}
		r.end(each)
	})
}

// counterName is the kernel's name of a counter that belongs to a rule, or to an element.
const counterName = "counter"

func (r *rule) immediate(code int32, chain string) {
	r.expression("immediate", func() {
		r.uint32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT)
		r.verdict(unix.NFTA_IMMEDIATE_DATA, code, chain)
	})
}
