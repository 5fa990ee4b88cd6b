package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// elementList is a message that elements are still being added to.
type elementList struct {
	verb  Verb
	set   string
	start int // of the message
	list  int // of the attribute that holds the elements
}

// maxList bounds the attribute that holds elements, in bytes: its length has 16 bits, and one
// element needs some hundreds of bytes at most.
const maxList = 60_000

// to makes sure that an element can be appended for a set.
func (l *elementList) to(e *encoder, verb Verb, set string) {
	if l.set == set && l.verb == verb && len(e.buffer)-l.list < maxList {
		e.steps = append(e.steps, len(e.buffer))
		return
	}
	l.end(e)
	e.steps = append(e.steps, len(e.buffer))
	kind, flags := uint16(unix.NFT_MSG_NEWSETELEM), uint16(unix.NLM_F_CREATE)
	if verb == Delete {
		kind, flags = unix.NFT_MSG_DELSETELEM, 0
	}
	l.verb, l.set = verb, set
	l.start = e.about(kind, flags)
	e.text(unix.NFTA_SET_ELEM_LIST_SET, set)
	l.list = e.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
}

func (l *elementList) end(e *encoder) {
	if l.set == "" {
		return
	}
	e.end(l.list)
	e.endMessage(l.start)
	*l = elementList{}
}

// Kinds of an element's user data besides its comment, and their flags: libnftnl's udata.h, and
// enum nft_set_elem_flags of nft's rule.h.
const (
	elementFlags = 1 // NFTNL_UDATA_SET_ELEM_FLAGS
	openInterval = 1 // SET_ELEM_F_INTERVAL_OPEN
)

// element adds or deletes one element. An interval is two of the kernel's: its first key, and,
// marked as an end, the one after its last. An interval up to the very last key has no end.
func (e *encoder) element(verb Verb, o *knftables.Element) error {
	name := o.Set + o.Map
	d, ok := e.sets[name]
	if !ok || o.Family != "" || o.Table != "" || o.Set != "" && o.Map != "" || (o.Map != "") != d.verdicts {
		return errors.New("an element of an unknown set")
	}
	key, after, err := d.parse(e.scratch[:0], o.Key)
	if err != nil {
		return err
	}
	e.scratch = key[:0]
	e.list.to(e, verb, name)
	element := e.nest(unix.NFTA_LIST_ELEM)
	e.data(unix.NFTA_SET_ELEM_KEY, key)
	if verb == Add && d.verdicts {
		if err := e.value(o.Value); err != nil {
			return err
		}
	}
	open := d.interval && after == nil
	if err := e.elementUserData(o.Comment, open); err != nil {
		return err
	}
	e.end(element)
	if d.interval && !open {
		end := e.nest(unix.NFTA_LIST_ELEM)
		e.uint32(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
		e.data(unix.NFTA_SET_ELEM_KEY, after)
		e.end(end)
	}
	return nil
}

func (e *encoder) elementUserData(text *string, open bool) error {
	var data []byte
	if text != nil {
		if len(*text) >= knftables.CommentLengthMax {
			return errLongComment
		}
		data = comment(e.scratch[:0], commentData, *text)
		e.scratch = data[:0]
	}
	if open {
		data = userData(data, elementFlags, hostOrder(openInterval)...)
	}
	if len(data) > 0 {
		e.bytes(unix.NFTA_SET_ELEM_USERDATA, data)
	}
	return nil
}

// value writes the verdict of an element of a map.
func (e *encoder) value(words []string) error {
	if len(words) != 1 {
		return errors.New("a value that is no verdict")
	}
	code, chain, err := verdictCode(expr.ParseVerdict(words[0]))
	if err != nil {
		return err
	}
	e.verdict(unix.NFTA_SET_ELEM_DATA, code, chain)
	return nil
}

// parse appends the key of an element to scratch. Of an interval, it is the first one, and after is
// the one that follows the last, or nil when none does.
func (d definition) parse(scratch []byte, parts []string) (key, after []byte, err error) {
	if len(parts) != len(d.key) {
		return nil, nil, fmt.Errorf("a key of %d parts", len(parts))
	}
	if d.interval {
		return d.key[0].parseInterval(scratch, parts[0])
	}
	for i, t := range d.key {
		if scratch, err = t.parse(scratch, parts[i]); err != nil {
			return nil, nil, err
		}
		for len(d.key) > 1 && len(scratch)%align != 0 {
			scratch = append(scratch, 0)
		}
	}
	return scratch, nil, nil
}

func (d datatype) parseInterval(scratch []byte, text string) (first, after []byte, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if first, err = d.parse(scratch, from); err != nil {
		return nil, nil, err
	}
	if !isRange {
		to = from
	}
	if after, err = d.parse(nil, to); err != nil {
		return nil, nil, err
	}
	if bytes.Compare(first, after) > 0 {
		return nil, nil, fmt.Errorf("the range %s, which is empty", text)
	}
	for i := len(after) - 1; i >= 0; i-- {
		if after[i]++; after[i] != 0 {
			return first, after, nil
		}
	}
	return first, nil, nil
}

// parse appends one value.
func (d datatype) parse(to []byte, text string) ([]byte, error) {
	switch d {
	case service:
		port, err := strconv.ParseUint(text, 10, 16)
		return binary.BigEndian.AppendUint16(to, uint16(port)), err
	case protocol:
		number, err := parseProtocol(text)
		return append(to, number), err
	case macAddress:
		mac, err := net.ParseMAC(text)
		if err == nil && len(mac) != d.length() {
			err = fmt.Errorf("the key %s, which is of another type", text)
		}
		return append(to, mac...), err
	case linkName:
		name, err := parseLinkName(text)
		return append(to, name...), err
	default:
		return d.parseAddress(to, text)
	}
}

// parseProtocol reads what expr.Protocol writes.
func parseProtocol(text string) (byte, error) {
	for _, p := range []expr.Protocol{expr.ICMP, expr.TCP, expr.UDP, expr.ICMPv6, expr.SCTP} {
		if text == p.String() {
			return byte(p), nil
		}
	}
	number, err := strconv.ParseUint(text, 10, 8)
	return byte(number), err
}

func (d datatype) parseAddress(to []byte, text string) ([]byte, error) {
	address, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return nil, err
	case d == ipv4Address && address.Is4():
		b := address.As4()
		return append(to, b[:]...), nil
	case d == ipv6Address && address.Is6() && address.Zone() == "":
		b := address.As16()
		return append(to, b[:]...), nil
	default:
		return nil, fmt.Errorf("the key %s, which is of another type", text)
	}
}
