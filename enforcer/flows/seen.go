package flows

import (
	"net/netip"
	"time"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// Key is what the kernel tells connections apart by.
type Key struct {
	Verdict connections.Verdict
	// Direction is the side that decided; empty if no policy did.
	Direction connections.Direction
	// Reason is one of compile.Denials, such as "ingress"; empty for what passed.
	Reason string
	// Initiator began the connection, and Server answers it: after the translation of a Service's address and before
	// that of the source. Of packets without a connection they are the source and the destination.
	Initiator, Server netip.Addr
	// Protocol is the number of a transport protocol.
	Protocol uint8
	// Port is the server's; 0 for protocols without ports.
	Port uint16
}

// Seen is what the kernel says about a connection.
type Seen struct {
	Key
	// Count is how often it was judged since the kernel began to count.
	Count uint64
	// Age is how long ago that was, to about a millisecond. It is by the kernel's clock, which no change of the time moves.
	Age time.Duration
}

// Reading is what the kernel says about all connections at one time.
type Reading struct {
	Seen []Seen
	// Missed is how many packets or connections the kernel told apart from nothing, by the reason or verdict that they
	// would have been under: there was no space, or one end asked for too much of it. It only ever rises.
	Missed map[string]uint64
}
