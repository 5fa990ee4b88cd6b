package wire

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// buffer is netlink messages under construction. Tables have 100,000 elements and more, each of
// which is half a dozen attributes, so they are written in place, without a tree of them before.
type buffer []byte

// align is the alignment of messages and attributes: NLMSG_ALIGNTO and NLA_ALIGNTO.
const align = 4

// message begins a message with nfnetlink's header (struct nfgenmsg).
func (b *buffer) message(kind, flags uint16, sequence uint32, family byte, resource uint16) (start int) {
	start = len(*b)
	*b = binary.NativeEndian.AppendUint32(*b, 0) // its length, when it is known
	*b = binary.NativeEndian.AppendUint16(*b, kind)
	*b = binary.NativeEndian.AppendUint16(*b, flags)
	*b = binary.NativeEndian.AppendUint32(*b, sequence)
	*b = binary.NativeEndian.AppendUint32(*b, 0) // from whom: the kernel knows
	*b = append(*b, family, unix.NFNETLINK_V0)
	*b = binary.BigEndian.AppendUint16(*b, resource)
	return start
}

// endMessage ends the message that began at start. All its attributes are padded, and so is it.
func (b *buffer) endMessage(start int) {
	binary.NativeEndian.PutUint32((*b)[start:], uint32(len(*b)-start))
}

// attribute begins an attribute; end ends it.
func (b *buffer) attribute(kind uint16) (start int) {
	start = len(*b)
	*b = append(*b, 0, 0)
	*b = binary.NativeEndian.AppendUint16(*b, kind)
	return start
}

func (b *buffer) end(start int) {
	binary.NativeEndian.PutUint16((*b)[start:], uint16(len(*b)-start))
	for len(*b)%align != 0 {
		*b = append(*b, 0)
	}
}

// nest begins an attribute that holds others.
func (b *buffer) nest(kind uint16) (start int) { return b.attribute(kind | unix.NLA_F_NESTED) }

func (b *buffer) bytes(kind uint16, value []byte) {
	start := b.attribute(kind)
	*b = append(*b, value...)
	b.end(start)
}

func (b *buffer) text(kind uint16, value string) {
	start := b.attribute(kind)
	*b = append(*b, value...)
	*b = append(*b, 0)
	b.end(start)
}

func (b *buffer) uint32(kind uint16, value uint32) {
	start := b.attribute(kind)
	*b = binary.BigEndian.AppendUint32(*b, value)
	b.end(start)
}

func (b *buffer) uint64(kind uint16, value uint64) {
	start := b.attribute(kind)
	*b = binary.BigEndian.AppendUint64(*b, value)
	b.end(start)
}

// data is a value as nf_tables compares or stores it (struct nft_data).
func (b *buffer) data(kind uint16, value []byte) {
	start := b.nest(kind)
	b.bytes(unix.NFTA_DATA_VALUE, value)
	b.end(start)
}

// verdict is a verdict; chain is empty unless it jumps.
func (b *buffer) verdict(kind uint16, code int32, chain string) {
	data := b.nest(kind)
	verdict := b.nest(unix.NFTA_DATA_VERDICT)
	b.uint32(unix.NFTA_VERDICT_CODE, uint32(code))
	if chain != "" {
		b.text(unix.NFTA_VERDICT_CHAIN, chain)
	}
	b.end(verdict)
	b.end(data)
}

// userData appends an item of libnftnl's user data: type, length, value (struct nftnl_udata).
func userData(to []byte, kind byte, value ...byte) []byte {
	return append(append(to, kind, byte(len(value))), value...)
}

// comment appends a comment, with the final zero that libnftnl keeps.
func comment(to []byte, kind byte, text string) []byte {
	to = append(to, kind, byte(len(text)+1))
	return append(append(to, text...), 0)
}
