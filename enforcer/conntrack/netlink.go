package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h.
const (
	newConnection = unix.NFNL_SUBSYS_CTNETLINK << 8   // IPCTNL_MSG_CT_NEW
	getConnection = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1 // IPCTNL_MSG_CT_GET

	ctaTupleOrig = 1
	ctaMark      = 8
	ctaZone      = 18
	ctaMarkMask  = 21

	sizeofGenMsg = 4
)

// socket is one of netlink's, of the network namespace in which it was opened.
type socket struct {
	fd       int
	received []byte
}

func open() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("opening a socket of netlink: %w", err)
	}
	return &socket{fd: fd, received: make([]byte, 1<<17)}, nil
}

func (s *socket) close() { _ = unix.Close(s.fd) }

func (s *socket) send(b []byte) error {
	if err := unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("asking ctnetlink: %w", err)
	}
	return nil
}

// receive returns the next part of a listing. The kernel has prepared it when the one before was received, so
// there is nothing to wait for.
func (s *socket) receive() ([]byte, error) {
	for {
		n, _, err := unix.Recvfrom(s.fd, s.received, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing connections: %w", err)
		}
		return s.received[:n], nil
	}
}

// write sends requests, which the kernel has carried out when that returns. That a connection is gone is no
// error; others are rare enough for the first to be read.
func (s *socket) write(requests []byte) error {
	if len(requests) == 0 {
		return nil
	}
	if err := s.send(requests); err != nil {
		return err
	}
	for {
		n, _, err := unix.Recvfrom(s.fd, s.received, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS):
			continue // more answers than the socket holds: the next pass finds what is left
		case err != nil:
			return fmt.Errorf("changing connections: %w", err)
		}
		answers, err := syscall.ParseNetlinkMessage(s.received[:n])
		if err != nil {
			return fmt.Errorf("changing connections: %w", err)
		}
		for _, a := range answers {
			if a.Header.Type != unix.NLMSG_ERROR {
				continue
			}
			if err := errorOf(a.Data); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("changing connections: %w", err)
			}
		}
	}
}

// message is one of ctnetlink's.
func message(flags uint16, kind uint16, family byte, attributes []byte) []byte {
	b := make([]byte, 0, unix.SizeofNlMsghdr+sizeofGenMsg+len(attributes))
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+sizeofGenMsg+len(attributes)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = append(b, make([]byte, 8)...)              // sequence and port: there is one request at a time
	b = append(b, family, unix.NFNETLINK_V0, 0, 0) // struct nfgenmsg
	return append(b, attributes...)
}

func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// attribute returns the value of an attribute; it is empty when there is none.
func attribute(b []byte, wanted uint16) []byte {
	for len(b) >= unix.SizeofNlAttr {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofNlAttr || length > len(b) {
			return nil
		}
		if binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == wanted {
			return b[unix.SizeofNlAttr:length]
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return nil
}
