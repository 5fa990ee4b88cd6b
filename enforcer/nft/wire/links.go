package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// What rules say of the link that a packet comes by, and of the frame that it comes in.

// parseLinkName reads the name of an interface, in quotes, and fills it up with zeros.
func parseLinkName(text string) ([]byte, error) {
	name, err := strconv.Unquote(text)
	if err != nil {
		return nil, fmt.Errorf("the name %s, which is none of an interface", text)
	}
	return linkNameOf(name)
}

func linkNameOf(name string) ([]byte, error) {
	if name == "" || len(name) >= unix.IFNAMSIZ || strings.HasSuffix(name, "*") {
		return nil, fmt.Errorf("the name %q, which is none of an interface", name)
	}
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...), nil
}

// NFT_META_IIFKIND and NFT_META_OIFKIND of linux/netfilter/nf_tables.h, which golang.org/x/sys/unix lacks.
const (
	metaInKind  = 26
	metaOutKind = 27
)

// LinkKind compares the kind of a link.
func (r *rule) LinkKind(l expr.LinkKind) error {
	kind, err := linkNameOf(l.Kind)
	if err != nil {
		return err
	}
	key := uint32(metaInKind)
	if l.Out {
		key = metaOutKind
	}
	r.meta(key)
	r.compare(unix.NFT_CMP_EQ, kind...)
	return nil
}

// RouteMissing looks the source's route up, by the link that the packet comes by.
func (r *rule) RouteMissing(expr.RouteMissing) error {
	r.expression("fib", func() {
		r.uint32(unix.NFTA_FIB_DREG, unix.NFT_REG_1)
		r.uint32(unix.NFTA_FIB_RESULT, unix.NFT_FIB_RESULT_OIF)
		r.uint32(unix.NFTA_FIB_FLAGS, unix.NFTA_FIB_F_SADDR|unix.NFTA_FIB_F_IIF|unix.NFTA_FIB_F_PRESENT)
	})
	r.compare(unix.NFT_CMP_EQ, hostOrder(0)...)
	return nil
}

// ToKind looks the destination's kind up.
func (r *rule) ToKind(k expr.ToKind) error {
	r.expression("fib", func() {
		r.uint32(unix.NFTA_FIB_DREG, unix.NFT_REG_1)
		r.uint32(unix.NFTA_FIB_RESULT, unix.NFT_FIB_RESULT_ADDRTYPE)
		r.uint32(unix.NFTA_FIB_FLAGS, unix.NFTA_FIB_F_DADDR)
	})
	r.compare(unix.NFT_CMP_EQ, hostOrder(uint32(k.Kind))...)
	return nil
}

// etherTypes are numbers of network protocols: linux/if_ether.h.
var etherTypes = map[expr.Network]struct {
	number  uint16
	network byte
}{
	expr.IPv4: {unix.ETH_P_IP, unix.NFPROTO_IPV4}, expr.IPv6: {unix.ETH_P_IPV6, unix.NFPROTO_IPV6}, expr.ARP: {unix.ETH_P_ARP, unix.NFPROTO_ARP},
}

// EtherType compares the type of a frame, which says what its header is. That of a frame with a VLAN tag
// is the tag's, wherever the kernel keeps the tag (nft_payload_copy_vlan).
func (r *rule) EtherType(of expr.EtherType) error {
	t, ok := etherTypes[of.Network]
	if !ok || r.network != 0 || r.tuple != 0 || r.family != unix.NFPROTO_BRIDGE {
		return errors.New("the type of a frame, behind an address or not in a table of bridges")
	}
	r.network = t.network
	r.payload(unix.NFT_PAYLOAD_LL_HEADER, 12, 2, 0) // struct ethhdr
	r.compare(unix.NFT_CMP_EQ, byte(t.number>>8), byte(t.number))
	return nil
}

// Raw compares bytes behind the network header.
func (r *rule) Raw(b expr.Raw) error {
	if len(b.Bytes) == 0 || len(b.Bytes) > ipv6Address.length() {
		return fmt.Errorf("%d bytes of a packet", len(b.Bytes))
	}
	operation := uint32(unix.NFT_CMP_EQ)
	if b.Not {
		operation = unix.NFT_CMP_NEQ
	}
	r.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, b.Offset, uint32(len(b.Bytes)), 0)
	r.compare(operation, []byte(b.Bytes)...)
	return nil
}
