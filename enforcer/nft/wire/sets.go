package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"
)

// datatype is nft's number of a type, which it keeps in the kernel: enum datatypes of nft's
// datatype.h.
type datatype uint32

const (
	ipv4Address datatype = 7
	ipv6Address datatype = 8
	macAddress  datatype = 9
	protocol    datatype = 12 // of transport
	service     datatype = 13 // a port
	linkName    datatype = 41 // of an interface
)

var datatypes = map[string]datatype{"ipv4_addr": ipv4Address, "ipv6_addr": ipv6Address, "inet_service": service, "ether_addr": macAddress, "ifname": linkName, "inet_proto": protocol}

// length is the length of a value in bytes.
func (d datatype) length() int {
	switch d {
	case ipv4Address:
		return 4
	case ipv6Address:
		return 16
	case macAddress:
		return 6
	case linkName:
		return unix.IFNAMSIZ
	case protocol:
		return 1
	default:
		return 2
	}
}

// typeBits is the width of one type in the number of a concatenation: TYPE_BITS of datatype.h.
const typeBits = 6

// definition is what has to be known of a set to write its elements.
type definition struct {
	key      []datatype
	interval bool
	verdicts bool
	dynamic  bool
	// size and timeout are a dynamic set's, where it is added.
	size    uint32
	timeout time.Duration
}

// parseDefinition reads the types of a set (value is empty) or of a map.
func parseDefinition(key, value string, flags []knftables.SetFlag) (d definition, err error) {
	for word := range strings.SplitSeq(key, " . ") {
		t, ok := datatypes[word]
		if !ok {
			return d, fmt.Errorf("keys of type %s", word)
		}
		d.key = append(d.key, t)
	}
	d.interval = slices.Equal(flags, []knftables.SetFlag{knftables.IntervalFlag})
	d.dynamic = slices.Equal(flags, []knftables.SetFlag{knftables.DynamicFlag, knftables.TimeoutFlag})
	d.verdicts = value == "verdict"
	switch {
	case len(flags) > 0 && !d.interval && !d.dynamic, d.dynamic && value != "":
		return d, fmt.Errorf("the flags %v", flags)
	case d.interval && len(d.key) > 1:
		return d, errors.New("intervals of concatenated keys")
	case value != "" && !d.verdicts:
		return d, fmt.Errorf("values of type %s", value)
	}
	return d, nil
}

// unpackDefinition reads what the kernel says of a set.
func unpackDefinition(keyType, flags, dataType uint32) (d definition, err error) {
	for ; keyType != 0; keyType >>= typeBits {
		d.key = append(d.key, datatype(keyType&(1<<typeBits-1)))
	}
	slices.Reverse(d.key)
	for _, t := range d.key {
		if !isKnown(t) {
			return d, fmt.Errorf("keys of type number %d", t)
		}
	}
	d.interval = flags&unix.NFT_SET_INTERVAL != 0
	d.verdicts = flags&unix.NFT_SET_MAP != 0
	d.dynamic = flags&dynamicFlags == dynamicFlags
	if d.dynamic {
		flags &^= dynamicFlags
	}
	if flags&^(unix.NFT_SET_INTERVAL|unix.NFT_SET_MAP) != 0 || d.dynamic && flags != 0 || d.interval && len(d.key) > 1 || d.verdicts && dataType != unix.NFT_DATA_VERDICT {
		return d, errors.New("a set of another kind")
	}
	return d, nil
}

// dynamicFlags are those of a set that rules put elements in, for a time: NFT_SET_EVAL, which golang.org/x/sys/unix lacks,
// and another.
const dynamicFlags = 0x20 | unix.NFT_SET_TIMEOUT

// text is the type of the keys, as parseDefinition reads it.
func (d definition) text() string {
	words := make([]string, len(d.key))
	for i, t := range d.key {
		for word, known := range datatypes {
			if t == known {
				words[i] = word
			}
		}
	}
	return strings.Join(words, " . ")
}

func isKnown(t datatype) bool {
	for _, known := range datatypes {
		if t == known {
			return true
		}
	}
	return false
}

// number is the number of the key's type, length the length of a key.
func (d definition) number() (number uint32, length int) {
	for _, t := range d.key {
		number = number<<typeBits | uint32(t)
		length += t.length()
		if len(d.key) > 1 {
			length = padded(length)
		}
	}
	return number, length
}

func padded(length int) int { return (length + align - 1) / align * align }

func (e *encoder) setStep(verb Verb, o *knftables.Set) error {
	if err := only(o, knftables.Set{Name: o.Name, Type: o.Type, Flags: o.Flags, Size: o.Size, Timeout: o.Timeout, Comment: o.Comment}); err != nil {
		return err
	}
	d, err := parseDefinition(o.Type, "", o.Flags)
	switch {
	case verb == Add && err != nil:
		return err
	case (o.Size != nil || o.Timeout != nil) != d.dynamic, d.dynamic && (o.Size == nil || o.Timeout == nil || *o.Size > math.MaxUint32):
		return errors.New("a set with a size or a timeout, and not both")
	case d.dynamic:
		d.size, d.timeout = uint32(*o.Size), *o.Timeout
	}
	return e.collection(verb, o.Name, d, o.Comment)
}

func (e *encoder) mapStep(verb Verb, o *knftables.Map) error {
	if err := only(o, knftables.Map{Name: o.Name, Type: o.Type, Flags: o.Flags, Comment: o.Comment}); err != nil {
		return err
	}
	key, value, _ := strings.Cut(o.Type, " : ")
	d, err := parseDefinition(key, value, o.Flags)
	if verb == Add && err != nil {
		return err
	}
	return e.collection(verb, o.Name, d, o.Comment)
}

// collection adds or deletes a set or a map.
func (e *encoder) collection(verb Verb, name string, d definition, text *string) error {
	switch verb {
	case Add:
		e.sets[name] = d
		return e.addSet(name, d, text)
	case Delete:
		delete(e.sets, name)
		start := e.about(unix.NFT_MSG_DELSET, 0)
		e.text(unix.NFTA_SET_NAME, name)
		e.endMessage(start)
		return nil
	default:
		return errNotKnown
	}
}

func (e *encoder) addSet(name string, d definition, text *string) error {
	start := e.about(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE)
	defer e.endMessage(start)
	e.text(unix.NFTA_SET_NAME, name)
	var flags uint32
	if d.interval {
		flags |= unix.NFT_SET_INTERVAL
	}
	if d.verdicts {
		flags |= unix.NFT_SET_MAP
	}
	if d.dynamic {
		flags |= dynamicFlags
	}
	e.uint32(unix.NFTA_SET_FLAGS, flags)
	number, length := d.number()
	e.uint32(unix.NFTA_SET_KEY_TYPE, number)
	e.uint32(unix.NFTA_SET_KEY_LEN, uint32(length))
	if d.verdicts {
		e.uint32(unix.NFTA_SET_DATA_TYPE, unix.NFT_DATA_VERDICT)
		e.uint32(unix.NFTA_SET_DATA_LEN, 0)
	}
	e.setIDs++ // any number that no other set of the transaction has
	e.uint32(unix.NFTA_SET_ID, e.setIDs)
	if d.dynamic {
		description := e.nest(unix.NFTA_SET_DESC)
		e.uint32(unix.NFTA_SET_DESC_SIZE, d.size)
		e.end(description)
		e.uint64(unix.NFTA_SET_TIMEOUT, uint64(d.timeout.Milliseconds()))
	}
	return e.setUserData(d, text)
}

// Kinds of a set's user data: libnftnl's udata.h.
const (
	keyByteOrder  = 0 // NFTNL_UDATA_SET_KEYBYTEORDER
	dataByteOrder = 1 // NFTNL_UDATA_SET_DATABYTEORDER
	keyTypeof     = 3 // NFTNL_UDATA_SET_KEY_TYPEOF
	dataInterval  = 6 // NFTNL_UDATA_SET_DATA_INTERVAL
	setComment    = 7 // NFTNL_UDATA_SET_COMMENT

	hostEndian = 1 // BYTEORDER_HOST_ENDIAN of nft's datatype.h
	bigEndian  = 2 // BYTEORDER_BIG_ENDIAN
)

// concatenation is how nft describes one of plain types: NFTNL_UDATA_SET_TYPEOF_EXPR with the
// number of such an expression (EXPR_CONCAT of nft's expression.h), then an empty
// NFTNL_UDATA_SET_TYPEOF_DATA.
var concatenation = userData(userData(nil, 0, hostOrder(13)...), 1)

// setUserData is what nft needs to print the set.
func (e *encoder) setUserData(d definition, text *string) error {
	order := uint32(bigEndian)
	switch {
	case len(d.key) > 1, d.key[0] == protocol:
		order = 0 // each part has its own, and a byte has none
	case d.key[0] == linkName:
		order = hostEndian
	}
	data := userData(e.scratch[:0], keyByteOrder, hostOrder(order)...)
	if d.verdicts {
		data = userData(data, dataByteOrder, hostOrder(0)...)
	}
	if len(d.key) > 1 {
		data = userData(data, keyTypeof, concatenation...)
	}
	if d.verdicts {
		data = userData(data, dataInterval, hostOrder(0)...)
	}
	if text != nil {
		if len(*text) >= knftables.CommentLengthMax {
			return errLongComment
		}
		data = comment(data, setComment, *text)
	}
	e.scratch = data
	e.bytes(unix.NFTA_SET_USERDATA, data)
	return nil
}

func hostOrder(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
