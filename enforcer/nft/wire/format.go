package wire

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// format writes a key as steps have it; see parse.
func (d definition) format(key []byte) string {
	if len(d.key) == 1 {
		return d.key[0].format(key)
	}
	text := ""
	for i, t := range d.key {
		if i > 0 {
			text += " . "
		}
		text += t.format(key[:min(t.length(), len(key))])
		key = key[min(padded(t.length()), len(key)):]
	}
	return text
}

func (d datatype) format(value []byte) string {
	if len(value) != d.length() {
		return fmt.Sprintf("%x", value)
	}
	switch d {
	case service:
		return strconv.Itoa(int(binary.BigEndian.Uint16(value)))
	case protocol:
		return expr.Protocol(value[0]).String()
	case macAddress:
		return net.HardwareAddr(value).String()
	case linkName:
		return strconv.Quote(unix.ByteSliceToString(value))
	default:
		address, _ := netip.AddrFromSlice(value)
		return address.String()
	}
}

// verdictText writes a verdict as steps have it; it is empty when there is none.
func verdictText(data []byte) string {
	verdict := attributeOf(data, unix.NFTA_DATA_VERDICT)
	if verdict == nil {
		return ""
	}
	chain := textOf(verdict, unix.NFTA_VERDICT_CHAIN)
	switch code := int32(numberOf(verdict, unix.NFTA_VERDICT_CODE)); code {
	case acceptCode:
		return "accept"
	case dropCode:
		return "drop"
	case unix.NFT_JUMP:
		return "jump " + chain
	case unix.NFT_GOTO:
		return "goto " + chain
	default:
		return fmt.Sprintf("verdict %d", code)
	}
}
