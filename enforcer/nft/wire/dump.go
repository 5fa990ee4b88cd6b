package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributesOf walks through attributes; flags of their kinds are left out. It ends where they are
// not well formed.
func attributesOf(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofNlAttr || length > len(b) {
				return
			}
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(kind, b[unix.SizeofNlAttr:length]) {
				return
			}
			b = b[min(padded(length), len(b)):]
		}
	}
}

// attributeOf returns the value of one attribute; it is empty when there is none.
func attributeOf(b []byte, wanted uint16) []byte {
	for kind, value := range attributesOf(b) {
		if kind == wanted {
			return value
		}
	}
	return nil
}

func textOf(b []byte, wanted uint16) string { return unix.ByteSliceToString(attributeOf(b, wanted)) }

// numberOf returns a number of 32 bits; it is 0 when there is none.
func numberOf(b []byte, wanted uint16) uint32 {
	if value := attributeOf(b, wanted); len(value) == 4 {
		return binary.BigEndian.Uint32(value)
	}
	return 0
}

// errInterrupted says that another transaction came between two parts of a listing.
var errInterrupted = errors.New("changed while it was listed")

// dump has the kernel list something of the table's family, and calls visit with the attributes of each object.
func (c *Conn) dump(kind uint16, visit func(attributes []byte), attributes func(*buffer)) error {
	return c.dumpOf(c.family, kind, func(_ byte, b []byte) { visit(b) }, attributes)
}

// dumpOf is dump for a family, which may be AF_UNSPEC for all; visit gets the family of each object.
func (c *Conn) dumpOf(family byte, kind uint16, visit func(family byte, attributes []byte), attributes func(*buffer)) error {
	c.sequence++
	var request buffer
	start := request.message(unix.NFNL_SUBSYS_NFTABLES<<8|kind, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, c.sequence, family, 0)
	attributes(&request)
	request.endMessage(start)
	if err := unix.Sendto(c.socket.GetFd(), request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("asking nf_tables: %w", err)
	}
	interrupted := false
	for {
		// The kernel prepares the next part whenever one is received (netlink_recvmsg), so again
		// there is nothing to wait for.
		n, _, err := unix.Recvfrom(c.socket.GetFd(), c.received, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n > len(c.received) {
			err = fmt.Errorf("a message of %d bytes", n)
		}
		if err != nil {
			return fmt.Errorf("asking nf_tables: %w", err)
		}
		done, err := c.visitPart(c.received[:n], visit, &interrupted)
		switch {
		case err != nil:
			return err
		case done && interrupted:
			return errInterrupted
		case done:
			return nil
		}
	}
}

// visitPart reads what was received at once; done says that it was the last.
func (c *Conn) visitPart(part []byte, visit func(byte, []byte), interrupted *bool) (done bool, err error) {
	for len(part) >= unix.NLMSG_HDRLEN {
		length := int(binary.NativeEndian.Uint32(part))
		if length < unix.NLMSG_HDRLEN || length > len(part) {
			return false, fmt.Errorf("asking nf_tables: an answer of %d bytes says that it has %d", len(part), length)
		}
		kind, flags := binary.NativeEndian.Uint16(part[4:]), binary.NativeEndian.Uint16(part[6:])
		body := part[unix.NLMSG_HDRLEN:length]
		*interrupted = *interrupted || flags&unix.NLM_F_DUMP_INTR != 0
		switch {
		case binary.NativeEndian.Uint32(part[8:]) != c.sequence:
			// what is left of a request that failed
		case kind == unix.NLMSG_DONE || kind == unix.NLMSG_ERROR:
			if len(body) >= 4 {
				if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
					return true, fmt.Errorf("asking nf_tables: %w", syscall.Errno(errno))
				}
			}
			return true, nil
		case len(body) >= sizeofHeader:
			visit(body[0], body[sizeofHeader:])
		}
		part = part[min(padded(length), len(part)):]
	}
	return false, nil
}

// sizeofHeader is the size of struct nfgenmsg.
const sizeofHeader = 4
