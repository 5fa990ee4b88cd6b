package wire

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"
)

// Flags of tables that golang.org/x/sys/unix lacks: linux/netfilter/nf_tables.h.
const (
	tableOwner   = 2 // NFT_TABLE_F_OWNER
	tablePersist = 4 // NFT_TABLE_F_PERSIST
)

// Own makes this connection the owner of tables that Run creates: until the connection ends, the kernel lets nobody
// else change them, and "nft flush ruleset" leaves them out. Then they stay, and anybody may change or
// take them. It returns false where the kernel does not have that, which came with Linux 6.9: before, a table
// with an owner ends with it.
func (c *Conn) Own() (bool, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	// Another table: who owned the connection's own may be about to end.
	probe := &encoder{table: c.table + "-probe", family: c.family, sets: map[string]definition{}, flags: tableOwner | tablePersist}
	err := c.send(probe, []Step{{Add, &knftables.Table{}}, {Delete, &knftables.Table{}}, {Add, &knftables.Table{}}}, false)
	switch {
	case err == nil:
		c.flags = probe.flags
		return true, nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL):
		return false, nil
	default:
		return false, fmt.Errorf("asking whether tables can have owners: %w", err)
	}
}

// Take is the object of a step that adds a table which is there, and whose owner is gone: the connection becomes its owner,
// if it owns tables.
func Take() *knftables.Table {
	return &knftables.Table{Flags: []knftables.TableFlag{"owner", "persist"}}
}

// Owned says whether this connection owns the tables that Run creates.
func (c *Conn) Owned() bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.flags != 0
}

// Comment returns the comment of a chain's first rule; found is false when there is no such rule, or no
// comment.
func (c *Conn) Comment(chain string) (text string, found bool, err error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	first := true
	err = c.dump(unix.NFT_MSG_GETRULE, c.ofTable(func(b []byte) {
		if textOf(b, unix.NFTA_RULE_CHAIN) != chain || !first {
			return
		}
		first = false
		text, found = commentOf(attributeOf(b, unix.NFTA_RULE_USERDATA))
	}), func(b *buffer) {
		b.text(unix.NFTA_RULE_TABLE, c.table)
		b.text(unix.NFTA_RULE_CHAIN, chain)
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, errInterrupted) && !first {
		err = nil
	}
	if err != nil {
		return "", false, fmt.Errorf("listing chain %s: %w", chain, err)
	}
	return text, found, nil
}

// commentOf finds the comment in user data: kinds, lengths and values, each of a byte but the last.
func commentOf(data []byte) (text string, found bool) {
	for len(data) >= 2 && len(data) >= 2+int(data[1]) {
		if data[0] == commentData {
			return unix.ByteSliceToString(data[2 : 2+int(data[1])]), true
		}
		data = data[2+int(data[1]):]
	}
	return "", false
}
