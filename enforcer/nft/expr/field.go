package expr

// Field is something of a packet, of its connection, or of the link that it comes by. 0 is none.
type Field uint8

// The fields that rules read. Fields of the original direction are as the initiator sent the first packet, before
// address translation; fields of the reply are as the server answers.
const (
	// InName and OutName are the names of links.
	InName Field = iota + 1
	OutName
	EtherSource
	ARPSenderMAC
	ARPSenderIP
	Source4
	Destination4
	Source6
	Destination6
	UDPSource
	UDPDestination
	OriginalSource4
	OriginalSource6
	ReplySource4
	ReplySource6
	// OriginalPort and ReplyPort are the source's ports; a rule must match a protocol that has ports before.
	OriginalPort
	ReplyPort
	TransportProtocol
	// TransportSource and TransportDestination are the first and the second two bytes behind the network header, whatever
	// the protocol: for those that have ports, their ports.
	TransportSource
	TransportDestination
)

// Type is the type of a field's values.
type Type uint8

// The types of fields and of the keys of sets.
const (
	LinkName Type = iota + 1
	EtherAddress
	IPv4Address
	IPv6Address
	Service      // a port
	InetProtocol // a transport protocol
)

var fields = map[Field]struct {
	text string
	kind Type
}{
	InName: {"iifname", LinkName}, OutName: {"oifname", LinkName},
	EtherSource: {"ether saddr", EtherAddress}, ARPSenderMAC: {"arp saddr ether", EtherAddress}, ARPSenderIP: {"arp saddr ip", IPv4Address},
	Source4: {"ip saddr", IPv4Address}, Destination4: {"ip daddr", IPv4Address},
	Source6: {"ip6 saddr", IPv6Address}, Destination6: {"ip6 daddr", IPv6Address},
	UDPSource: {"udp sport", Service}, UDPDestination: {"udp dport", Service},
	OriginalSource4: {"ct original ip saddr", IPv4Address}, OriginalSource6: {"ct original ip6 saddr", IPv6Address},
	ReplySource4: {"ct reply ip saddr", IPv4Address}, ReplySource6: {"ct reply ip6 saddr", IPv6Address},
	OriginalPort: {"ct original proto-src", Service}, ReplyPort: {"ct reply proto-src", Service},
	TransportProtocol: {"meta l4proto", InetProtocol}, TransportSource: {"th sport", Service}, TransportDestination: {"th dport", Service},
}

// String is nft's syntax.
func (f Field) String() string { return fields[f].text }

// Type is the type of the field's values.
func (f Field) Type() Type { return fields[f].kind }

// String is nft's name of the type.
func (t Type) String() string {
	switch t {
	case LinkName:
		return "ifname"
	case EtherAddress:
		return "ether_addr"
	case IPv4Address:
		return "ipv4_addr"
	case IPv6Address:
		return "ipv6_addr"
	case Service:
		return "inet_service"
	case InetProtocol:
		return "inet_proto"
	default:
		return "unknown"
	}
}
