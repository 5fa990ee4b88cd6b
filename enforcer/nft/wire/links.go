package wire

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What rules say of the link that a packet comes by, and of the frame that it comes in.

// parseLinkName reads the name of an interface, in quotes, and fills it up with zeros.
func parseLinkName(text string) ([]byte, error) {
	name, err := strconv.Unquote(text)
	if err != nil || name == "" || len(name) >= unix.IFNAMSIZ || strings.HasSuffix(name, "*") {
		return nil, fmt.Errorf("the name %s, which is none of an interface", text)
	}
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...), nil
}

// NFT_META_IIFKIND and NFT_META_OIFKIND of linux/netfilter/nf_tables.h, which golang.org/x/sys/unix lacks.
const (
	metaInKind  = 26
	metaOutKind = 27
)

// linkKind compares the kind of a link, such as "veth".
func (r *rule) linkKind(key uint32) error {
	kind, err := parseLinkName(r.next())
	if err != nil {
		return errSyntax
	}
	r.meta(key)
	r.compare(unix.NFT_CMP_EQ, kind...)
	return nil
}

// routeMissing matches packets whose source is not routed to where they come from.
func (r *rule) routeMissing() {
	r.expression("fib", func() {
		r.uint32(unix.NFTA_FIB_DREG, unix.NFT_REG_1)
		r.uint32(unix.NFTA_FIB_RESULT, unix.NFT_FIB_RESULT_OIF)
		r.uint32(unix.NFTA_FIB_FLAGS, unix.NFTA_FIB_F_SADDR|unix.NFTA_FIB_F_IIF|unix.NFTA_FIB_F_PRESENT)
	})
	r.compare(unix.NFT_CMP_EQ, hostOrder(0)...)
}

// toKind matches packets to an address of a kind, RTN_*, as the node sees it: its own, or one that stands for
// everybody on a link.
func (r *rule) toKind(kind uint32) {
	r.expression("fib", func() {
		r.uint32(unix.NFTA_FIB_DREG, unix.NFT_REG_1)
		r.uint32(unix.NFTA_FIB_RESULT, unix.NFT_FIB_RESULT_ADDRTYPE)
		r.uint32(unix.NFTA_FIB_FLAGS, unix.NFTA_FIB_F_DADDR)
	})
	r.compare(unix.NFT_CMP_EQ, hostOrder(kind)...)
}

// etherTypes are numbers of network protocols: linux/if_ether.h.
var etherTypes = map[string]struct {
	number  uint16
	network byte
}{
	"ip": {unix.ETH_P_IP, unix.NFPROTO_IPV4}, "ip6": {unix.ETH_P_IPV6, unix.NFPROTO_IPV6}, "arp": {unix.ETH_P_ARP, unix.NFPROTO_ARP},
}

// etherType compares the type of a frame, which says what its header is. That of a frame with a VLAN tag
// is the tag's, wherever the kernel keeps the tag (nft_payload_copy_vlan).
func (r *rule) etherType() error {
	t, ok := etherTypes[r.next()]
	if !ok || r.network != 0 || r.tuple != 0 || r.family != unix.NFPROTO_BRIDGE {
		return errSyntax
	}
	r.network = t.network
	r.payload(unix.NFT_PAYLOAD_LL_HEADER, 12, 2, 0) // struct ethhdr
	r.compare(unix.NFT_CMP_EQ, byte(t.number>>8), byte(t.number))
	return nil
}

// notTransport compares with a protocol that it must not be.
func (r *rule) notTransport() error {
	number, ok := transports[r.next()]
	if !ok || r.transported {
		return errSyntax
	}
	r.meta(unix.NFT_META_L4PROTO)
	r.compare(unix.NFT_CMP_NEQ, number)
	return nil
}

// raw compares bytes behind the network header, by the numbers of their first bit and of all their bits. nft has no words
// for what a neighbour solicitation is about before its version 1.0.7, and none for options of these messages.
func (r *rule) raw() error {
	var offset, length uint32
	if _, err := fmt.Sscanf(r.next(), "@th,%d,%d", &offset, &length); err != nil || offset%8 != 0 {
		return errSyntax
	}
	operation := uint32(unix.NFT_CMP_EQ)
	if r.take("!=") {
		operation = unix.NFT_CMP_NEQ
	}
	digits, ok := strings.CutPrefix(r.next(), "0x")
	value, err := hex.DecodeString(digits)
	if !ok || err != nil || len(value) == 0 || len(value) > ipv6Address.length() || uint32(len(value))*8 != length {
		return errSyntax
	}
	r.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset/8, length/8, 0)
	r.compare(operation, value...)
	return nil
}

// linkKey loads a key that is of the link or the frame.
func (r *rule) linkKey(register int) (datatype, bool) {
	name := func(key uint32) (datatype, bool) {
		r.expression("meta", func() {
			r.uint32(unix.NFTA_META_DREG, registerOf(register))
			r.uint32(unix.NFTA_META_KEY, key)
		})
		return linkName, true
	}
	header := func(base, offset uint32, t datatype) (datatype, bool) {
		r.payload(base, offset, uint32(t.length()), register)
		return t, true
	}
	switch {
	case r.take("iifname"):
		return name(unix.NFT_META_IIFNAME)
	case r.take("oifname"):
		return name(unix.NFT_META_OIFNAME)
	case r.take("ether", "saddr"):
		return header(unix.NFT_PAYLOAD_LL_HEADER, 6, macAddress) // struct ethhdr
	case r.network == unix.NFPROTO_ARP && r.take("arp", "saddr", "ether"):
		return header(unix.NFT_PAYLOAD_NETWORK_HEADER, 8, macAddress) // struct arphdr
	case r.network == unix.NFPROTO_ARP && r.take("arp", "saddr", "ip"):
		return header(unix.NFT_PAYLOAD_NETWORK_HEADER, 14, ipv4Address)
	default:
		return 0, false
	}
}
