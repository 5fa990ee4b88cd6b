package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// Lookup looks fields up. The kernel compares the lengths of keys with those of a set, and nothing more. A set that
// it does not have it refuses.
func (r *rule) Lookup(l expr.Lookup) error {
	fields := l.Fields()
	if len(fields) == 0 || l.Not && l.Verdict {
		return errors.New("a lookup of nothing, or of a verdict that is not there")
	}
	if d, ok := r.sets[l.Set]; ok && (!d.isKeyedBy(fields) || l.Verdict && !d.verdicts) {
		return fmt.Errorf("set %s, which is of another type", l.Set)
	}
	if err := r.loadAll(fields); err != nil {
		return err
	}
	r.lookup(l.Set, l.Not, l.Verdict)
	return nil
}

// Update puts fields into a set. What is known of the packet stays so, for the values of registers do not.
func (r *rule) Update(u expr.Update) error {
	fields := u.Fields()
	if d, ok := r.sets[u.Set]; len(fields) == 0 || ok && (!d.isKeyedBy(fields) || !d.dynamic) {
		return fmt.Errorf("set %s, which is of another type, or which rules cannot put anything in", u.Set)
	}
	if err := r.loadAll(fields); err != nil {
		return err
	}
	r.dynset(u)
	return nil
}

// loadAll loads fields into registers, one after another.
func (r *rule) loadAll(fields []expr.Field) error {
	register := 0
	for _, field := range fields {
		if err := r.load(field, register); err != nil {
			return err
		}
		register += padded(typeOf(field).length()) / align
	}
	return nil
}

func (d definition) isKeyedBy(fields []expr.Field) bool {
	if len(d.key) != len(fields) {
		return false
	}
	for i, field := range fields {
		if d.key[i] != typeOf(field) {
			return false
		}
	}
	return true
}

func typeOf(field expr.Field) datatype { return datatypes[field.Type().String()] }

// Port compares a port with a range.
func (r *rule) Port(p expr.Port) error {
	switch {
	case p.Field.Type() != expr.Service:
		return errors.New("a field that is no port")
	case p.Last < p.First:
		return errRange
	}
	if err := r.load(p.Field, 0); err != nil {
		return err
	}
	r.within(binary.BigEndian.AppendUint16(nil, p.First), binary.BigEndian.AppendUint16(nil, p.Last))
	return nil
}

// Address compares an address.
func (r *rule) Address(a expr.Address) error {
	if err := r.load(a.Field, 0); err != nil {
		return err
	}
	value := a.Address.AsSlice()
	if t := a.Field.Type(); t != expr.IPv4Address && t != expr.IPv6Address || len(value) != typeOf(a.Field).length() {
		return errors.New("an address of another family, or a field that is none")
	}
	r.compare(unix.NFT_CMP_EQ, value...)
	return nil
}

// The directions of a connection: IP_CT_DIR_* of nf_conntrack_tuple_common.h.
const (
	original = 0
	reply    = 1
)

// load loads a field into the register of this number, in words of four bytes.
func (r *rule) load(field expr.Field, register int) error {
	switch field {
	case expr.OriginalSource4:
		return r.connectionAddress(unix.NFPROTO_IPV4, unix.NFT_CT_SRC_IP, original, register)
	case expr.OriginalSource6:
		return r.connectionAddress(unix.NFPROTO_IPV6, unix.NFT_CT_SRC_IP6, original, register)
	case expr.ReplySource4:
		return r.connectionAddress(unix.NFPROTO_IPV4, unix.NFT_CT_SRC_IP, reply, register)
	case expr.ReplySource6:
		return r.connectionAddress(unix.NFPROTO_IPV6, unix.NFT_CT_SRC_IP6, reply, register)
	case expr.OriginalPort:
		return r.connectionPort(original, register)
	case expr.ReplyPort:
		return r.connectionPort(reply, register)
	case expr.UDPSource:
		return r.udpPort(0, register)
	case expr.UDPDestination:
		return r.udpPort(2, register)
	case expr.InName:
		r.metaTo(unix.NFT_META_IIFNAME, register)
	case expr.OutName:
		r.metaTo(unix.NFT_META_OIFNAME, register)
	case expr.TransportProtocol:
		r.metaTo(unix.NFT_META_L4PROTO, register)
	case expr.TransportSource: // of any protocol, as nft takes it
		r.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, register)
	case expr.TransportDestination:
		r.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, register)
	case expr.EtherSource:
		r.payload(unix.NFT_PAYLOAD_LL_HEADER, 6, uint32(macAddress.length()), register) // struct ethhdr
	case expr.ARPSenderMAC, expr.ARPSenderIP:
		return r.arpSender(field, register)
	case expr.Source4:
		return r.header(unix.NFPROTO_IPV4, 12, ipv4Address, register) // struct iphdr
	case expr.Destination4:
		return r.header(unix.NFPROTO_IPV4, 16, ipv4Address, register)
	case expr.Source6:
		return r.header(unix.NFPROTO_IPV6, 8, ipv6Address, register) // struct ipv6hdr
	case expr.Destination6:
		return r.header(unix.NFPROTO_IPV6, 24, ipv6Address, register)
	default:
		return fmt.Errorf("a field of number %d", field)
	}
	return nil
}

// connectionAddress loads an address of the connection, which is of that family, or the rule ends.
func (r *rule) connectionAddress(protocol byte, key uint32, direction, register int) error {
	if register == 0 && r.network != 0 || r.network != 0 && r.network != protocol || r.tuple != 0 && r.tuple != protocol {
		return errMixed
	}
	r.tuple = protocol
	r.connection(key, direction, register)
	return nil
}

func (r *rule) connectionPort(direction, register int) error {
	if !r.ports {
		return errors.New("a port of a connection, before a protocol that has ports")
	}
	r.connection(unix.NFT_CT_PROTO_SRC, direction, register)
	return nil
}

// udpPort matches UDP, and loads one of its ports by its place in struct udphdr.
func (r *rule) udpPort(offset uint32, register int) error {
	if r.transported || register > 0 {
		return errTwice
	}
	r.transported = true
	r.meta(unix.NFT_META_L4PROTO)
	r.compare(unix.NFT_CMP_EQ, unix.IPPROTO_UDP)
	r.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2, 0)
	return nil
}

func (r *rule) metaTo(key uint32, register int) {
	r.expression("meta", func() {
		r.uint32(unix.NFTA_META_DREG, registerOf(register))
		r.uint32(unix.NFTA_META_KEY, key)
	})
}

// arpSender loads what struct arphdr says of the sender.
func (r *rule) arpSender(field expr.Field, register int) error {
	if r.network != unix.NFPROTO_ARP {
		return errors.New("a field of ARP, before its type is matched")
	}
	offset := uint32(8)
	if field == expr.ARPSenderIP {
		offset = 14
	}
	r.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, uint32(typeOf(field).length()), register)
	return nil
}

// header loads an address of the packet. To make sure of the protocol would overwrite what was loaded before.
func (r *rule) header(protocol byte, offset uint32, t datatype, register int) error {
	if r.network == 0 && register > 0 {
		return errors.New("an address of the packet after another field, before its protocol is matched")
	}
	if err := r.onlyOf(protocol); err != nil {
		return err
	}
	r.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, uint32(t.length()), register)
	return nil
}
