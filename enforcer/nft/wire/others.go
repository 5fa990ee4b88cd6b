package wire

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Chain is a chain of any table.
type Chain struct{ Family, Table, Name string }

// String names it as nft does, as "inet filter forward".
func (c Chain) String() string { return c.Family + " " + c.Table + " " + c.Name }

// MarkUse is what the rules of one chain do with connections' ct marks.
type MarkUse struct {
	Chain
	// Bits are the bits that they write or read; all if it is not known.
	Bits uint32
}

// FlowTable takes connections past the hook that forwards.
type FlowTable struct{ Family, Table, Name string }

// String names it as nft does, as "inet filter fast".
func (f FlowTable) String() string { return f.Family + " " + f.Table + " " + f.Name }

// Others is what was found in tables of other names than the connection's, each list in the order of its names.
type Others struct {
	Marks []MarkUse
	// FlowTables are the flow tables that rules send connections to.
	FlowTables []FlowTable
}

// Others looks through the rules of all tables of other names, in all families. Rules of xtables-legacy are not
// among those of nf_tables, and so stay unseen.
func (c *Conn) Others() (Others, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for range attempts {
		o, err := c.others()
		if !errors.Is(err, errInterrupted) {
			return o, err
		}
	}
	return Others{}, fmt.Errorf("listing the rules of others: %d times in a row they %w", attempts, errInterrupted)
}

func (c *Conn) others() (Others, error) {
	bits := map[Chain]uint32{}
	err := c.dumpOf(unix.AF_UNSPEC, unix.NFT_MSG_GETRULE, func(family byte, b []byte) {
		used := markBits(attributeOf(b, unix.NFTA_RULE_EXPRESSIONS))
		if used == 0 {
			return // as nearly all of very many
		}
		if chain := (Chain{familyName(family), textOf(b, unix.NFTA_RULE_TABLE), textOf(b, unix.NFTA_RULE_CHAIN)}); chain.Table != c.table {
			bits[chain] |= used
		}
	}, func(*buffer) {})
	if err != nil {
		return Others{}, fmt.Errorf("listing the rules of others: %w", err)
	}
	var o Others
	for chain, used := range bits {
		o.Marks = append(o.Marks, MarkUse{chain, used})
	}
	slices.SortFunc(o.Marks, func(a, b MarkUse) int { return cmp.Compare(a.String(), b.String()) })
	err = c.dumpOf(unix.AF_UNSPEC, unix.NFT_MSG_GETFLOWTABLE, func(family byte, b []byte) {
		if f, used := flowTableOf(family, b); used && f.Table != c.table {
			o.FlowTables = append(o.FlowTables, f)
		}
	}, func(*buffer) {})
	// They came with Linux 4.16: nfnetlink's answer to a message that it does not know is EINVAL.
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
		return Others{}, fmt.Errorf("listing the flow tables of others: %w", err)
	}
	slices.SortFunc(o.FlowTables, func(a, b FlowTable) int { return cmp.Compare(a.String(), b.String()) })
	return o, nil
}

// enum nft_flowtable_attributes of linux/netfilter/nf_tables.h, which golang.org/x/sys/unix lacks.
const (
	flowTableTable = 1
	flowTableName  = 2
	flowTableUse   = 4
)

// flowTableOf reads the kernel's description of a flow table; used says whether rules name it.
func flowTableOf(family byte, b []byte) (f FlowTable, used bool) {
	return FlowTable{familyName(family), textOf(b, flowTableTable), textOf(b, flowTableName)}, numberOf(b, flowTableUse) > 0
}

func familyName(number byte) string {
	switch number {
	case unix.NFPROTO_INET:
		return "inet"
	case unix.NFPROTO_IPV4:
		return "ip"
	case unix.NFPROTO_IPV6:
		return "ip6"
	case unix.NFPROTO_ARP:
		return "arp"
	case unix.NFPROTO_BRIDGE:
		return "bridge"
	case unix.NFPROTO_NETDEV:
		return "netdev"
	default:
		return fmt.Sprintf("family-%d", number)
	}
}
