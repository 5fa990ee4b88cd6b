package wire

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Listing is what the kernel holds of a table.
type Listing struct {
	// Flagged says that the table has other flags than Run gives it.
	Flagged bool
	// Dormant says that no chain of the table sees a packet.
	Dormant bool
	// Left says that the table has the flags of one that the connection would have as its owner, and no owner.
	Left   bool
	Chains map[string]*ListedChain
	// Sets are sets and maps, by name; their elements by key, as they are written in a step. The
	// values are verdicts such as "goto c", or empty. A listing without elements has none.
	Sets     map[string]map[string]string
	Counters []string
	// Dynamic are the definitions of the sets that rules put elements in.
	Dynamic map[string]DynamicSet
}

// DynamicSet is the definition of a set that rules put elements in.
type DynamicSet struct {
	// Key is the type of its keys.
	Key     string
	Size    uint32
	Timeout time.Duration
}

// ListedChain is a chain and its rules.
type ListedChain struct {
	// Base names the hook of a base chain, its priority and its policy, as "filter forward 0 accept".
	Base string
	// Rules are in the kernel's own form, as bytes; equal rules have equal bytes with any version of nft.
	Rules []string
}

// attempts is how often a listing is begun when other programs' transactions come between.
const attempts = 10

// List returns the table, with or without the elements of its sets; it is empty when there is none.
func (c *Conn) List(elements bool) (Listing, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for range attempts {
		l, err := c.list(elements)
		if !errors.Is(err, errInterrupted) {
			return l, err
		}
	}
	return Listing{}, fmt.Errorf("listing table %s: %d times in a row it %w", c.table, attempts, errInterrupted)
}

func (c *Conn) list(elements bool) (Listing, error) {
	l := Listing{Chains: map[string]*ListedChain{}, Sets: map[string]map[string]string{}, Dynamic: map[string]DynamicSet{}}
	there := false
	err := c.listPart(unix.NFT_MSG_GETTABLE, "", func(b []byte) {
		flags := numberOf(b, unix.NFTA_TABLE_FLAGS)
		l.Left = c.flags&tableOwner != 0 && flags == c.flags&^tableOwner
		there, l.Flagged, l.Dormant = true, flags != c.flags, flags&unix.NFT_TABLE_F_DORMANT != 0
	})
	if err != nil || !there {
		return l, err
	}
	sets := map[string]*listedSet{}
	for _, part := range []struct {
		message uint16
		visit   func([]byte)
	}{
		{unix.NFT_MSG_GETCHAIN, func(b []byte) { l.Chains[textOf(b, unix.NFTA_CHAIN_NAME)] = &ListedChain{Base: baseOf(b)} }},
		{unix.NFT_MSG_GETRULE, l.rule},
		{unix.NFT_MSG_GETOBJ, func(b []byte) {
			if numberOf(b, unix.NFTA_OBJ_TYPE) == unix.NFT_OBJECT_COUNTER {
				l.Counters = append(l.Counters, textOf(b, unix.NFTA_OBJ_NAME))
			}
		}},
		{unix.NFT_MSG_GETSET, func(b []byte) { sets[textOf(b, unix.NFTA_SET_NAME)] = newListedSet(b) }},
	} {
		if err := c.listPart(part.message, "", part.visit); err != nil {
			return Listing{}, err
		}
	}
	for name, set := range sets {
		if d := set.definition; d.dynamic {
			l.Dynamic[name] = DynamicSet{d.text(), d.size, d.timeout}
		}
		if !elements {
			l.Sets[name] = nil
			continue
		}
		if set.definition.dynamic { // what rules put in is not the table's
			l.Sets[name] = set.elements
			continue
		}
		if err := c.listPart(unix.NFT_MSG_GETSETELEM, name, set.read); err != nil {
			return Listing{}, err
		}
		set.joinIntervals()
		l.Sets[name] = set.elements
	}
	return l, nil
}

// listPart lists one kind of what the table has, or the elements of a set.
func (c *Conn) listPart(message uint16, set string, visit func([]byte)) error {
	err := c.dump(message, c.ofTable(visit), func(b *buffer) {
		b.text(unix.NFTA_TABLE_NAME, c.table)
		if set != "" {
			b.text(unix.NFTA_SET_ELEM_LIST_SET, set)
		}
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return errInterrupted // the table, or the set, was there just now
	case err != nil:
		return fmt.Errorf("listing table %s: %w", c.table, err)
	}
	return nil
}

// ofTable leaves out what is of other tables: not everything can be asked for by table.
func (c *Conn) ofTable(visit func([]byte)) func([]byte) {
	return func(b []byte) {
		if textOf(b, unix.NFTA_TABLE_NAME) == c.table { // the same attribute for all kinds: see about
			visit(b)
		}
	}
}

func (l *Listing) rule(b []byte) {
	chain := l.Chains[textOf(b, unix.NFTA_RULE_CHAIN)]
	if chain == nil {
		return // made since the chains were listed; the next listing knows
	}
	expressions, comment := attributeOf(b, unix.NFTA_RULE_EXPRESSIONS), attributeOf(b, unix.NFTA_RULE_USERDATA)
	chain.Rules = append(chain.Rules, string(expressions)+string(comment))
}

// hooks are the names of the hooks of the family inet: enum nf_inet_hooks of linux/netfilter.h.
var hooks = []string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}

func baseOf(b []byte) string {
	hook := attributeOf(b, unix.NFTA_CHAIN_HOOK)
	if hook == nil {
		return ""
	}
	name, policy := "another", "drop"
	if n := int(numberOf(hook, unix.NFTA_HOOK_HOOKNUM)); n < len(hooks) {
		name = hooks[n]
	}
	if numberOf(b, unix.NFTA_CHAIN_POLICY) == acceptCode {
		policy = "accept"
	}
	return fmt.Sprintf("%s %s %d %s", textOf(b, unix.NFTA_CHAIN_TYPE), name, int32(numberOf(hook, unix.NFTA_HOOK_PRIORITY)), policy)
}

// listedSet is a set whose elements are being read.
type listedSet struct {
	definition definition
	known      bool // that it is of a kind that is written here
	elements   map[string]string
	bounds     []bound
}

// bound is where an interval begins, or the first key after its end.
type bound struct {
	key     []byte
	end     bool
	verdict string // of a map's interval
}

func newListedSet(b []byte) *listedSet {
	d, err := definitionOf(b)
	s := &listedSet{definition: d, known: err == nil, elements: map[string]string{}}
	if !s.known {
		s.elements["of a set of another kind"] = ""
	}
	return s
}

// read reads some of the elements.
func (s *listedSet) read(b []byte) {
	if !s.known {
		return
	}
	for _, element := range attributesOf(attributeOf(b, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
		key := attributeOf(attributeOf(element, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE)
		if s.definition.interval {
			end := numberOf(element, unix.NFTA_SET_ELEM_FLAGS)&unix.NFT_SET_ELEM_INTERVAL_END != 0
			s.bounds = append(s.bounds, bound{bytes.Clone(key), end, verdictText(attributeOf(element, unix.NFTA_SET_ELEM_DATA))})
			continue
		}
		s.elements[s.definition.format(key)] = verdictText(attributeOf(element, unix.NFTA_SET_ELEM_DATA))
	}
}

// joinIntervals makes intervals of what was read. One that nothing ends goes up to the last key.
func (s *listedSet) joinIntervals() {
	slices.SortFunc(s.bounds, func(a, b bound) int {
		if c := bytes.Compare(a.key, b.key); c != 0 || a.end == b.end {
			return c
		}
		return cmp.Compare(b2i(b.end), b2i(a.end)) // one ends where the next begins
	})
	for i, b := range s.bounds {
		if b.end {
			continue
		}
		var last []byte
		if i+1 < len(s.bounds) {
			last = bytes.Clone(s.bounds[i+1].key)
		} else {
			last = make([]byte, len(b.key)) // one less is the last key
		}
		for j := len(last) - 1; j >= 0; j-- {
			if last[j]--; last[j] != 0xff {
				break
			}
		}
		text := s.definition.format(b.key)
		if !bytes.Equal(b.key, last) {
			text += "-" + s.definition.format(last)
		}
		s.elements[text] = b.verdict
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
