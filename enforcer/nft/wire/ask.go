package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Revision returns the number of the kernel's nftables transactions, of all processes, so that
// nothing has changed as long as it stays: NFT_MSG_GETGEN of linux/netfilter/nf_tables.h.
func (c *Conn) Revision() (uint32, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	answers, err := c.ask(unix.NFT_MSG_GETGEN, unix.AF_UNSPEC, func(*buffer) {})
	if err != nil {
		return 0, fmt.Errorf("asking for the revision of the rules: %w", err)
	}
	for _, a := range answers {
		if id := attributeOf(a, unix.NFTA_GEN_ID); len(id) == 4 {
			return binary.BigEndian.Uint32(id), nil
		}
	}
	return 0, errors.New("asking for the revision of the rules: no answer")
}

// Count is what a named counter has counted.
type Count struct {
	Name           string
	Packets, Bytes uint64
}

// Counts returns the table's counters; there are none without the table.
func (c *Conn) Counts() ([]Count, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	var counts []Count
	err := c.dump(unix.NFT_MSG_GETOBJ, c.ofTable(func(b []byte) {
		data := attributeOf(b, unix.NFTA_OBJ_DATA)
		packets, octets := attributeOf(data, unix.NFTA_COUNTER_PACKETS), attributeOf(data, unix.NFTA_COUNTER_BYTES)
		if len(packets) == 8 && len(octets) == 8 {
			counts = append(counts, Count{textOf(b, unix.NFTA_OBJ_NAME), binary.BigEndian.Uint64(packets), binary.BigEndian.Uint64(octets)})
		}
	}), func(b *buffer) {
		b.text(unix.NFTA_OBJ_TABLE, c.table)
		b.uint32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_COUNTER)
	})
	if err != nil && !errors.Is(err, errInterrupted) { // an interrupted list is still right
		return nil, fmt.Errorf("listing counters: %w", err)
	}
	return counts, nil
}

// ask sends a request, and returns the attributes of the answers.
func (c *Conn) ask(kind uint16, family byte, attributes func(*buffer)) ([][]byte, error) {
	c.sequence++
	var request buffer
	start := request.message(unix.NFNL_SUBSYS_NFTABLES<<8|kind, unix.NLM_F_REQUEST, c.sequence, family, 0)
	attributes(&request)
	request.endMessage(start)
	answers, err := c.exchange(request)
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for _, a := range answers {
		switch {
		case a.sequence != c.sequence: // what is left of a request that failed
		case a.kind == unix.NLMSG_ERROR && a.errno != 0:
			return nil, a.errno
		case len(a.body) >= sizeofHeader:
			found = append(found, a.body[sizeofHeader:])
		}
	}
	return found, nil
}

// definitions asks the kernel for sets. Those that it does not have, or that are not of a kind known
// here, are left out: then an element of theirs is not supported.
func (c *Conn) definitions(names []string) (map[string]definition, error) {
	sets := map[string]definition{}
	for _, name := range names {
		answers, err := c.ask(unix.NFT_MSG_GETSET, c.family, func(b *buffer) {
			b.text(unix.NFTA_SET_TABLE, c.table)
			b.text(unix.NFTA_SET_NAME, name)
		})
		var refused syscall.Errno
		switch {
		case errors.As(err, &refused):
			continue
		case err != nil:
			return nil, fmt.Errorf("asking nf_tables for set %s: %w", name, err)
		}
		for _, a := range answers {
			if d, err := definitionOf(a); err == nil {
				sets[name] = d
			}
		}
	}
	return sets, nil
}

// definitionOf reads what the kernel says of a set.
func definitionOf(b []byte) (definition, error) {
	d, err := unpackDefinition(numberOf(b, unix.NFTA_SET_KEY_TYPE), numberOf(b, unix.NFTA_SET_FLAGS), numberOf(b, unix.NFTA_SET_DATA_TYPE))
	if err != nil || !d.dynamic {
		return d, err
	}
	d.size = numberOf(attributeOf(b, unix.NFTA_SET_DESC), unix.NFTA_SET_DESC_SIZE)
	if timeout := attributeOf(b, unix.NFTA_SET_TIMEOUT); len(timeout) == 8 {
		d.timeout = time.Duration(binary.BigEndian.Uint64(timeout)) * time.Millisecond
	}
	return d, nil
}
