package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// Conn writes transactions to one table. It is safe for concurrent use.
type Conn struct {
	table  string
	family byte
	flags  uint32 // of a table that is made

	lock     sync.Mutex
	socket   *nl.NetlinkSocket
	sequence uint32
	sendable int // bytes that one message may have
	received []byte
	// sets are the sets of the table that are known to exist in the form that this package writes.
	sets map[string]definition
}

// Open connects to the table of this name and of the family inet, which need not exist, in the network
// namespace of the calling thread; there the connection stays.
func Open(table string) (*Conn, error) { return OpenIn(knftables.InetFamily, table) }

// OpenIn is Open for a family, which is inet or bridge.
func OpenIn(family knftables.Family, table string) (*Conn, error) {
	number, ok := families[family]
	if !ok {
		return nil, fmt.Errorf("a table of the family %s, which is not known to package wire", family)
	}
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("netlink socket for nf_tables: %w", err)
	}
	c := &Conn{table: table, family: number, socket: socket, received: make([]byte, receiveSize)}
	for _, o := range []struct{ level, option, value int }{
		// What is wrong with a message, and where: else one message of many elements is blamed as
		// a whole. Kernels before 4.12 do not know it.
		{unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1},
		// An error comes without a copy of the message.
		{unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1},
	} {
		_ = unix.SetsockoptInt(socket.GetFd(), o.level, o.option, o.value)
	}
	size, err := unix.GetsockoptInt(socket.GetFd(), unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("netlink socket for nf_tables: %w", err)
	}
	c.sendable = size - sendOverhead
	return c, nil
}

// families are the numbers of the families that this package writes: enum of linux/netfilter.h.
var families = map[knftables.Family]byte{knftables.InetFamily: unix.NFPROTO_INET, knftables.BridgeFamily: unix.NFPROTO_BRIDGE}

const (
	// sendOverhead is what netlink_sendmsg of the kernel's af_netlink.c takes off the buffer's size.
	sendOverhead = 32
	// receiveSize holds any single answer, and the largest part of a listing (netlink_dump).
	receiveSize = 1 << 15
)

// Close ends the connection. The table stays.
func (c *Conn) Close() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.socket.Close()
	return nil
}

// Run makes the kernel take the steps, all of them or none. A StepError says which one it refused, an
// UnsupportedError that nothing was sent. After any other error it is not known what the kernel did,
// as when memory ran out for its answer.
//
// The kernel does the whole work while it takes the message, and has answered when send returns
// (nfnetlink_rcv_batch), so nothing here waits, and the steps cannot be interrupted.
//
// Other programs' transactions do not matter: NFTA_BATCH_GENID, by which nft learns that what it has
// read is outdated, is for those who read the table to change it. Here the definitions of sets are
// all that is read, and kept until something is refused: a pod may be in a thousand sets, and to ask for
// each took longer than to change them. A set that is another one meanwhile has other keys, which the kernel
// refuses.
func (c *Conn) Run(steps []Step) error { return c.run(steps, true) }

// Check says whether the kernel would accept the steps; its errors are those of Run. The kernel does each, and
// takes all of them back when the end of the transaction is missing (nfnetlink_rcv_batch), as for "nft --check".
// What it looks for at the end alone, which is loops of jumps, neither sees.
func (c *Conn) Check(steps []Step) error { return c.run(steps, false) }

func (c *Conn) run(steps []Step, commit bool) error {
	if len(steps) == 0 {
		return nil
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	unknown := slices.DeleteFunc(unknownSets(steps), func(name string) bool {
		_, known := c.sets[name]
		return known
	})
	asked, err := c.definitions(unknown)
	if err != nil {
		return err
	}
	sets := c.sets
	if sets == nil {
		sets = map[string]definition{}
	}
	maps.Copy(sets, asked)
	c.sets = nil
	if err := c.send(&encoder{table: c.table, family: c.family, sets: sets, flags: c.flags}, steps, commit); err != nil {
		return err
	}
	if commit {
		c.sets = sets
	}
	return nil
}

// send writes the steps and reads what the kernel says to them. The connection is locked.
func (c *Conn) send(e *encoder, steps []Step, commit bool) error {
	b, err := e.encode(c.sequence+1, steps, commit)
	if err != nil {
		return err
	}
	c.sequence = b.first + uint32(len(b.messages)) - 1
	if err := c.reserve(len(b.buffer)); err != nil {
		return &UnsupportedError{steps[0], err}
	}
	answers, err := c.exchange(b.buffer)
	if err != nil {
		return fmt.Errorf("nf_tables transaction: %w", err)
	}
	return b.verdictOf(answers, steps)
}

// reserve makes room for a message of this size: the kernel takes a transaction in one piece.
func (c *Conn) reserve(size int) error {
	if size <= c.sendable {
		return nil
	}
	if err := unix.SetsockoptInt(c.socket.GetFd(), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, size); err != nil {
		return fmt.Errorf("a message of %d bytes: %w", size, err)
	}
	c.sendable = size // the kernel doubles it
	return nil
}

// verdictOf finds what the kernel says of the transaction: the first error, or that the last message
// was done.
func (b *batch) verdictOf(answers []answer, steps []Step) error {
	done := false
	for _, a := range answers {
		if a.errno == 0 {
			done = done || a.sequence == b.acknowledged
			continue
		}
		if i := b.blame(a.sequence, a.offset); i >= 0 {
			return &StepError{steps[i], a.errno, a.text}
		}
		return fmt.Errorf("nf_tables transaction of %d steps: %w", len(steps), a.errno)
	}
	if !done {
		return errNoAnswer
	}
	return nil
}

var errNoAnswer = errors.New("nf_tables transaction: the kernel does not say whether it took it")

// exchange sends messages and returns the kernel's answers to them, in their order.
func (c *Conn) exchange(messages []byte) ([]answer, error) {
	if err := unix.Sendto(c.socket.GetFd(), messages, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("sending %d bytes: %w", len(messages), err)
	}
	var answers []answer
	for {
		n, _, err := unix.Recvfrom(c.socket.GetFd(), c.received, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return answers, nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS):
			// There were more errors than the socket holds. The first ones are still to be read.
		case err != nil:
			return nil, fmt.Errorf("receiving: %w", err)
		default:
			if answers, err = appendAnswers(answers, c.received[:n]); err != nil {
				return nil, err
			}
		}
	}
}

// unknownSets are those that the steps add elements to, delete elements from or look something up in,
// without having added them.
func unknownSets(steps []Step) []string {
	var unknown []string
	known, last := map[string]bool{}, ""
	use := func(name string) {
		if name != last && !known[name] {
			known[name] = true
			unknown = append(unknown, name)
		}
		last = name
	}
	for _, s := range steps {
		switch o := s.Object.(type) {
		case *knftables.Set:
			known[o.Name] = true
		case *knftables.Map:
			known[o.Name] = true
		case *knftables.Element:
			use(o.Set + o.Map)
		case *Rule:
			for _, e := range o.Exprs {
				switch e := e.(type) {
				case expr.Lookup:
					use(e.Set)
				case expr.Update:
					use(e.Set)
				}
			}
		}
	}
	return unknown
}

// answer is one message of the kernel's.
type answer struct {
	sequence uint32
	errno    syscall.Errno
	offset   int    // of what is wrong, in the message with this sequence number
	text     string // what is wrong
	kind     uint16
	body     []byte
}

// appendAnswers reads what was received at once.
func appendAnswers(to []answer, received []byte) ([]answer, error) {
	for len(received) >= unix.NLMSG_HDRLEN {
		length := int(binary.NativeEndian.Uint32(received))
		if length < unix.NLMSG_HDRLEN || length > len(received) {
			return nil, fmt.Errorf("an answer of %d bytes says that it has %d", len(received), length)
		}
		a := answer{
			kind:     binary.NativeEndian.Uint16(received[4:]),
			sequence: binary.NativeEndian.Uint32(received[8:]),
		}
		body := received[unix.NLMSG_HDRLEN:length]
		if a.kind == unix.NLMSG_ERROR {
			a.readError(body, binary.NativeEndian.Uint16(received[6:]))
		} else {
			a.body = append(a.body, body...)
		}
		to = append(to, a)
		received = received[min(padded(length), len(received)):]
	}
	return to, nil
}

// readError reads struct nlmsgerr, and what NETLINK_EXT_ACK adds to it.
func (a *answer) readError(body []byte, flags uint16) {
	const header = 4 + unix.NLMSG_HDRLEN // the error, and the header of the message that it is about
	if len(body) < header {
		return
	}
	a.errno = syscall.Errno(-int32(binary.NativeEndian.Uint32(body)))
	rest := body[header:]
	if flags&unix.NLM_F_CAPPED == 0 {
		message := int(binary.NativeEndian.Uint32(body[4:])) // its copy follows
		rest = body[min(4+padded(message), len(body)):]
	}
	if flags&unix.NLM_F_ACK_TLVS == 0 {
		return
	}
	if offset := attributeOf(rest, unix.NLMSGERR_ATTR_OFFS); len(offset) == 4 {
		a.offset = int(binary.NativeEndian.Uint32(offset))
	}
	a.text = textOf(rest, unix.NLMSGERR_ATTR_MSG)
}
