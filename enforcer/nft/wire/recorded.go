package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Recorded is an element that a rule put into a dynamic set.
type Recorded struct {
	// Key has the parts of the key, each padded to four bytes. It is good until the next element comes.
	Key []byte
	// Packets is what the element has counted.
	Packets uint64
	// Expires is when the kernel takes it out.
	Expires time.Duration
}

// Recorded calls visit with the elements of a dynamic set, none of which comes twice; there are none without the set.
// Other programs' transactions may come between two parts of a long list. Then it begins anew: restart is called, and what
// came before is to be forgotten.
func (c *Conn) Recorded(set string, visit func(Recorded), restart func()) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	for range attempts {
		err := c.dump(unix.NFT_MSG_GETSETELEM, func(b []byte) {
			for _, element := range attributesOf(attributeOf(b, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
				visit(recordedOf(element))
			}
		}, func(b *buffer) {
			b.text(unix.NFTA_SET_ELEM_LIST_TABLE, c.table)
			b.text(unix.NFTA_SET_ELEM_LIST_SET, set)
		})
		switch {
		case errors.Is(err, unix.ENOENT):
			return nil
		case err == nil:
			return nil
		case !errors.Is(err, errInterrupted) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("listing set %s: %w", set, err)
		}
		restart()
	}
	return fmt.Errorf("listing set %s: %d times in a row it %w", set, attempts, errInterrupted)
}

// recordedOf reads an element in one pass: there may be many.
func recordedOf(element []byte) (r Recorded) {
	for kind, value := range attributesOf(element) {
		switch kind {
		case unix.NFTA_SET_ELEM_KEY:
			r.Key = attributeOf(value, unix.NFTA_DATA_VALUE)
		case unix.NFTA_SET_ELEM_EXPR:
			if packets := attributeOf(attributeOf(value, unix.NFTA_EXPR_DATA), unix.NFTA_COUNTER_PACKETS); len(packets) == 8 {
				r.Packets = binary.BigEndian.Uint64(packets)
			}
		case unix.NFTA_SET_ELEM_EXPIRATION:
			if len(value) == 8 {
				r.Expires = time.Duration(binary.BigEndian.Uint64(value)) * time.Millisecond
			}
		}
	}
	return r
}
