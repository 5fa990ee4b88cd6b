// Package probe tries connections from where it runs, and says of each what came of it. Images of ours have it, and
// "kubectl apptier test --packets" runs it in pods: by arguments, and by the message that the container ends with. So whoever
// starts it needs no right to run programs in pods or to read logs.
package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Command is the subcommand of our programs that is the probe.
const Command = "probe"

// Flags of the probe.
const (
	flagTimeout = "timeout"
	flagAfter   = "after"
)

// Target is where a connection is tried to.
type Target struct {
	// Protocol is TCP or UDP.
	Protocol corev1.Protocol
	Address  netip.AddrPort
}

// Speaks says whether the probe can try connections of a protocol.
func Speaks(protocol corev1.Protocol) bool {
	return protocol == corev1.ProtocolTCP || protocol == corev1.ProtocolUDP
}

// String is the target as an argument: tcp/10.0.0.1:80.
func (t Target) String() string {
	return strings.ToLower(string(t.Protocol)) + "/" + t.Address.String()
}

// ParseTarget reads an argument.
func ParseTarget(text string) (Target, error) {
	protocol, address, _ := strings.Cut(text, "/")
	t := Target{Protocol: corev1.Protocol(strings.ToUpper(protocol))}
	if !Speaks(t.Protocol) {
		return t, fmt.Errorf("%q is not a target: write tcp/ADDRESS:PORT or udp/ADDRESS:PORT", text)
	}
	var err error
	if t.Address, err = netip.ParseAddrPort(address); err != nil {
		return t, fmt.Errorf("%q is not a target: %w", text, err)
	}
	return t, nil
}

// Outcome is what came of a connection; one letter in a message.
type Outcome byte

// Outcomes. Connected and Refused mean that the packet arrived: whoever refuses has got it.
const (
	// Connected is a handshake of TCP, or an answer over UDP.
	Connected Outcome = 'c'
	// Refused is a reset, or word from the destination that nothing listens.
	Refused Outcome = 'r'
	// Silent is that nothing came back in time.
	Silent Outcome = 's'
	// Unreachable is that a router, or a filter that says so, sent the packet back.
	Unreachable Outcome = 'u'
	// Forbidden is that the node's own kernel did not let the packet out.
	Forbidden Outcome = 'f'
	// Failed is that nothing could be tried.
	Failed Outcome = 'e'
)

// MostTargets bounds what one probe is asked for. The arguments of an ephemeral container stay in its pod's spec, and the
// kubelet cuts messages short where a pod has many containers (k8s.io/kubernetes pkg/kubelet/container, MaxPodTerminationMessageLogLength).
const MostTargets = 250

// header begins a message, with the version of its form.
const header = "apptier-probe/1 "

// Message is what a probe says of its targets, in their order.
func Message(outcomes []Outcome) string {
	var b strings.Builder
	b.WriteString(header)
	for _, o := range outcomes {
		b.WriteByte(byte(o))
	}
	return b.String()
}

// ErrNoMessage says that a text is nothing that a probe ends with.
var ErrNoMessage = errors.New("no probe ended with this")

// ParseMessage reads what a probe said of so many targets.
func ParseMessage(text string, targets int) ([]Outcome, error) {
	letters, found := strings.CutPrefix(strings.TrimSpace(text), header)
	if !found {
		return nil, fmt.Errorf("%w: %q", ErrNoMessage, text)
	}
	if len(letters) != targets {
		return nil, fmt.Errorf("%w: %d outcomes for %d targets", ErrNoMessage, len(letters), targets)
	}
	outcomes := make([]Outcome, targets)
	for i := range outcomes {
		switch o := Outcome(letters[i]); o {
		case Connected, Refused, Silent, Unreachable, Forbidden, Failed:
			outcomes[i] = o
		default:
			return nil, fmt.Errorf("%w: the outcome %q is not known", ErrNoMessage, letters[i])
		}
	}
	return outcomes, nil
}
