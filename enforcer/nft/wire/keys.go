package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// keys reads one or several keys, joined by ".", and what they are compared with or looked up in.
func (r *rule) keys() error {
	var types []datatype
	register := 0
	for more := true; more; more = r.take(".") {
		t, err := r.key(register)
		if err != nil {
			return err
		}
		types = append(types, t)
		register += padded(t.length()) / align
	}
	inverted, verdicts := r.take("!="), r.take("vmap")
	word := r.next()
	set, isSet := strings.CutPrefix(word, "@")
	switch {
	case isSet && (!inverted || !verdicts):
		return r.lookupIn(set, types, inverted, verdicts)
	case slices.Equal(types, []datatype{service}) && !inverted && !verdicts:
		return r.portNumber(word)
	case slices.Equal(types, []datatype{ipv4Address}) || slices.Equal(types, []datatype{ipv6Address}):
		value, err := types[0].parse(nil, word)
		if err != nil || inverted || verdicts {
			return errSyntax
		}
		r.compare(unix.NFT_CMP_EQ, value...)
		return nil
	default:
		return errSyntax
	}
}

// lookupIn looks keys up. The kernel compares the lengths of keys with those of a set, and nothing
// more. One that it does not have it refuses.
func (r *rule) lookupIn(set string, types []datatype, inverted, verdicts bool) error {
	if d, ok := r.sets[set]; ok && (!slices.Equal(types, d.key) || verdicts && !d.verdicts) {
		return fmt.Errorf("set %s, which is of another type", set)
	}
	r.lookup(set, inverted, verdicts)
	return nil
}

func (r *rule) portNumber(word string) error {
	first, last, err := span(word, 16)
	if err != nil {
		return err
	}
	r.within(binary.BigEndian.AppendUint16(nil, uint16(first)), binary.BigEndian.AppendUint16(nil, uint16(last)))
	return nil
}

// key loads one key into the register of this number, in words of four bytes.
func (r *rule) key(register int) (datatype, error) {
	for direction, word := range []string{"original", "reply"} { // IP_CT_DIR_*
		switch {
		case r.take("ct", word, "ip", "saddr"):
			return ipv4Address, r.connectionAddress(unix.NFPROTO_IPV4, unix.NFT_CT_SRC_IP, direction, register)
		case r.take("ct", word, "ip6", "saddr"):
			return ipv6Address, r.connectionAddress(unix.NFPROTO_IPV6, unix.NFT_CT_SRC_IP6, direction, register)
		case r.ports && r.take("ct", word, "proto-src"):
			r.connection(unix.NFT_CT_PROTO_SRC, direction, register)
			return service, nil
		}
	}
	for offset, word := range []string{0: "sport", 2: "dport"} { // struct udphdr
		if word != "" && register == 0 && !r.transported && r.take("udp", word) {
			r.transported = true
			r.meta(unix.NFT_META_L4PROTO)
			r.compare(unix.NFT_CMP_EQ, unix.IPPROTO_UDP)
			r.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, uint32(offset), 2, 0)
			return service, nil
		}
	}
	if t, ok := r.linkKey(register); ok {
		return t, nil
	}
	for _, f := range headerFields {
		if r.take(f.words...) {
			if r.network == 0 && register > 0 {
				return 0, errSyntax // to make sure of it would overwrite what was loaded before
			}
			err := r.onlyOf(f.network)
			r.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, f.offset, uint32(f.datatype.length()), register)
			return f.datatype, err
		}
	}
	return 0, errSyntax
}

// headerFields are where struct iphdr and struct ipv6hdr have addresses.
var headerFields = []struct {
	words    []string
	network  byte
	offset   uint32
	datatype datatype
}{
	{[]string{"ip", "saddr"}, unix.NFPROTO_IPV4, 12, ipv4Address},
	{[]string{"ip", "daddr"}, unix.NFPROTO_IPV4, 16, ipv4Address},
	{[]string{"ip6", "saddr"}, unix.NFPROTO_IPV6, 8, ipv6Address},
	{[]string{"ip6", "daddr"}, unix.NFPROTO_IPV6, 24, ipv6Address},
}
