// Package interpret computes what the rules of a table do with a packet, without a kernel. It does what the kernel's
// nft_do_chain does (net/netfilter/nf_tables_core.c), and the tests of the kernel hold both together.
package interpret

import (
	"net/netip"
	"strconv"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// Packet is what rules ask of a packet. What it does not have is the zero value, and no rule that reads it matches.
type Packet struct {
	// Network is the protocol of the packet: IPv4, IPv6 or ARP.
	Network expr.Network
	// Source and Destination are the packet's own addresses. Of ARP, Source is the sender's.
	Source, Destination netip.Addr
	// Initiator and Server are the ends of its connection: the sources of the original tuple and of the reply's.
	Initiator, Server Socket
	Protocol          expr.Protocol
	// SourcePort and DestinationPort are the packet's own.
	SourcePort, DestinationPort uint16
	// State is of its connection, one of the states, and Mark the connection's mark.
	State expr.State
	Mark  uint32
	// Reply says that it goes from the server to the initiator.
	Reply bool

	// In and Out are the links that it comes by and goes out by.
	In, Out Link
	// SourceMAC is the frame's source, and SenderMAC what ARP says of the sender, as nft writes them.
	SourceMAC, SenderMAC string
	// NoRouteBack says that its source is not routed to where it comes from.
	NoRouteBack bool
	// To is what its destination is to the node; 0 for an address like any other.
	To expr.AddressKind

	// ICMPv6Type is the type of an ICMPv6 message.
	ICMPv6Type uint8
	HopLimit   uint8
	// Length is in bytes, without the header.
	Length uint16
	// Options says that an IPv4 header has some, and RoutingHeader that an IPv6 packet has one.
	Options, RoutingHeader bool
	// Payload is what follows the network header.
	Payload string
}

// Socket is an address and a port; the port is 0 where the protocol has none.
type Socket struct {
	Address netip.Addr
	Port    uint16
}

// Link is an interface, by its name and kind.
type Link struct{ Name, Kind string }

// field returns a field as the keys of elements have it; ok is false if the packet has no such field.
func (p *Packet) field(f expr.Field) (text string, ok bool) {
	switch f {
	case expr.InName:
		return strconv.Quote(p.In.Name), p.In.Name != ""
	case expr.OutName:
		return strconv.Quote(p.Out.Name), p.Out.Name != ""
	case expr.EtherSource:
		return p.SourceMAC, p.SourceMAC != ""
	case expr.ARPSenderMAC:
		return p.SenderMAC, p.Network == expr.ARP
	case expr.TransportProtocol:
		return p.Protocol.String(), p.Network != expr.ARP
	case expr.UDPSource, expr.UDPDestination, expr.OriginalPort, expr.ReplyPort, expr.TransportSource, expr.TransportDestination:
		port, ok := p.port(f)
		return strconv.Itoa(int(port)), ok
	default:
		address, ok := p.address(f)
		return address.String(), ok
	}
}

func (p *Packet) address(f expr.Field) (netip.Addr, bool) {
	switch f {
	case expr.ARPSenderIP:
		return p.Source, p.Network == expr.ARP
	case expr.Source4:
		return p.Source, p.Network == expr.IPv4
	case expr.Destination4:
		return p.Destination, p.Network == expr.IPv4
	case expr.Source6:
		return p.Source, p.Network == expr.IPv6
	case expr.Destination6:
		return p.Destination, p.Network == expr.IPv6
	case expr.OriginalSource4:
		return p.Initiator.Address, p.Initiator.Address.Is4()
	case expr.OriginalSource6:
		return p.Initiator.Address, p.Initiator.Address.Is6()
	case expr.ReplySource4:
		return p.Server.Address, p.Server.Address.Is4()
	case expr.ReplySource6:
		return p.Server.Address, p.Server.Address.Is6()
	default:
		return netip.Addr{}, false
	}
}

func (p *Packet) port(f expr.Field) (uint16, bool) {
	switch f {
	case expr.UDPSource:
		return p.SourcePort, p.Protocol == expr.UDP
	case expr.UDPDestination:
		return p.DestinationPort, p.Protocol == expr.UDP
	case expr.TransportSource:
		return p.SourcePort, p.Network != expr.ARP
	case expr.TransportDestination:
		return p.DestinationPort, p.Network != expr.ARP
	case expr.OriginalPort:
		return p.Initiator.Port, true
	case expr.ReplyPort:
		return p.Server.Port, true
	default:
		return 0, false
	}
}
