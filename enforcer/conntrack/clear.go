package conntrack

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// passes is how often the table is walked through at most. One pass after another that changes something is
// needed where connections come from others that were not cleared yet: an expected connection takes over its
// master's mark (init_conntrack in the kernel's nf_conntrack_core.c).
const passes = 10

// Table is the connections of the network namespace in which its methods are called. Its zero value is ready
// to use.
type Table struct{}

// Clear sets the bits of the mask to 0 in the marks of connections whose masked bits are stale. After it has returned
// without an error there is no such connection, unless another program creates one: rules that were replaced before the
// call do not, not even for packets in flight. It takes time in proportion to the number of connections: see
// BenchmarkClear.
func (Table) Clear(ctx context.Context, mask uint32, stale func(masked uint32) bool) error {
	settle(ctx)
	for range passes {
		size := buckets()
		left, err := clearOnce(ctx, mask, stale)
		switch {
		case err != nil:
			return fmt.Errorf("clearing marks of connections: %w", err)
		case left == 0 && size == buckets(): // otherwise a walk may have missed some
			return nil
		}
	}
	return fmt.Errorf("clearing marks of connections: there are others after %d times", passes)
}

// settle waits until the kernel is done with packets that met old rules. It handles a packet, from its reception until
// its connection is confirmed and it is sent, within one read-side critical section of RCU (__netif_receive_skb);
// membarrier(2) returns after all that had begun have ended.
func settle(ctx context.Context) {
	const global = 1 // MEMBARRIER_CMD_GLOBAL of linux/membarrier.h
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno == 0 {
		return
	}
	// A kernel may be built without, or have processors without ticks.
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
}

// buckets tells the size of the kernel's table, which somebody may change while it is walked through.
func buckets() string {
	size, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_buckets")
	if err != nil {
		return "" // without the file nobody can change it either
	}
	return string(size)
}

// clearOnce walks through all connections once, and tells how many had to be cleared.
func clearOnce(ctx context.Context, mask uint32, stale func(uint32) bool) (found int, err error) {
	reader, err := open()
	if err != nil {
		return 0, err
	}
	defer reader.close()
	writer, err := open()
	if err != nil {
		return 0, err
	}
	defer writer.close()
	if err := reader.send(message(unix.NLM_F_DUMP, getConnection, unix.AF_UNSPEC, nil)); err != nil {
		return 0, err
	}
	for {
		part, err := reader.receive()
		if err != nil {
			return found, err
		}
		var changes bytes.Buffer
		done, err := eachConnection(part, func(family byte, attributes []byte) {
			if mark := attribute(attributes, ctaMark); len(mark) == 4 && stale(binary.BigEndian.Uint32(mark)&mask) {
				found++
				changes.Write(message(0, newConnection, family, change(attributes, mask)))
			}
		})
		if err != nil {
			return found, err
		}
		if err := writer.write(changes.Bytes()); err != nil {
			return found, err
		}
		if done {
			return found, ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return found, err
		}
	}
}

// change returns the attributes of a request to clear the masked bits of a connection's mark; the kernel
// finds the connection by its original tuple and its zone.
func change(connection []byte, mask uint32) []byte {
	out := appendAttribute(nil, ctaTupleOrig|unix.NLA_F_NESTED, attribute(connection, ctaTupleOrig))
	if zone := attribute(connection, ctaZone); len(zone) > 0 {
		out = appendAttribute(out, ctaZone, zone)
	}
	out = appendAttribute(out, ctaMark, make([]byte, 4))
	return appendAttribute(out, ctaMarkMask, binary.BigEndian.AppendUint32(nil, mask))
}

// eachConnection reads a part of a listing; done says that it is the last.
func eachConnection(part []byte, do func(family byte, attributes []byte)) (done bool, err error) {
	messages, err := syscall.ParseNetlinkMessage(part)
	if err != nil {
		return false, fmt.Errorf("a listing that cannot be read: %w", err)
	}
	for _, m := range messages {
		switch {
		case m.Header.Type == unix.NLMSG_DONE, m.Header.Type == unix.NLMSG_ERROR:
			return true, errorOf(m.Data)
		case len(m.Data) >= sizeofGenMsg:
			do(m.Data[0], m.Data[sizeofGenMsg:])
		}
	}
	return false, nil
}

// errorOf reads how a listing ended, or an answer to a request.
func errorOf(data []byte) error {
	if len(data) < 4 {
		return errors.New("an answer without an error code")
	}
	if errno := -int32(binary.NativeEndian.Uint32(data)); errno != 0 {
		return syscall.Errno(errno)
	}
	return nil
}
