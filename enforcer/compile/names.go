package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

// The table is ours alone: nothing outside of it is ever read or changed.
const (
	TableFamily = nft.Inet
	TableName   = "apptier"
	// ForwardChain is the base chain that forwarded packets go through, and SourceChain the one that looks at who
	// sends them: it is empty where addresses are not bound to interfaces.
	ForwardChain = "forward"
	SourceChain  = "source"
)

// Chains that are always there.
const (
	sourceChain     = SourceChain
	strangeChain    = "strange"
	forwardChain    = ForwardChain
	judgeChain      = "judge"
	ingressChain    = "ingress"
	admitChain      = "admit"
	untrackedChain  = "untracked"
	unroutableChain = "unroutable"
	errorChain      = "error"
	podErrorChain   = "error-of-pod"
	inputChain      = "input"
	tunnelChain     = "tunnel"
)

// Chains of staged policies, which what is allowed goes through before it is stamped, and returns from.
const (
	auditChain        = "audit"
	auditIngressChain = "audit-ingress"
	auditedChain      = "audited"
)

// allowedChain records what passes, and recordedChain is where what was recorded returns from.
const (
	allowedChain  = "allowed"
	recordedChain = "recorded"
)

// Chains that count what staged policies would deny, each with a counter of its own name.
const (
	wouldDenyEgress  = "would-deny-egress"
	wouldDenyIngress = "would-deny-ingress"
)

// audits says what each of them is for.
var audits = map[string]string{
	wouldDenyEgress:  "no rule would allow it, if the initiator's staged policies were enforced",
	wouldDenyIngress: "no rule would allow it, if the server's staged policies were enforced",
}

// Audits returns the names of the counters of connections that pass, and that staged policies would deny, by direction.
func Audits() map[Direction]string {
	return map[Direction]string{Egress: wouldDenyEgress, Ingress: wouldDenyIngress}
}

// Chains that end in a drop, each with a counter of its own name.
const (
	deniedEgress     = "denied-egress"
	deniedIngress    = "denied-ingress"
	deniedUntracked  = "denied-untracked"
	deniedUnknown    = "denied-unknown"
	deniedUndecided  = "denied-undecided"
	deniedUnroutable = "denied-unroutable"
	deniedSpoofed    = "denied-spoofed"
)

// Sets of interfaces, by name.
const (
	uplinkSet = "uplinks"
	bridgeSet = "bridges"
)

// tunnelSet is of ports, and portedSet of the protocols that have ports.
const (
	tunnelSet = "tunnels"
	portedSet = "ported"
)

// denials says what each of them is for.
var denials = map[string]string{
	deniedEgress:     "no rule of the initiator's policies allows it",
	deniedIngress:    "no rule of the server's policies allows it",
	deniedUntracked:  "an isolated pod, and no connection to judge it by",
	deniedUnknown:    "an address of this node's pods that no known pod has yet",
	deniedSpoofed:    "a source that is not where it comes from",
	deniedUnroutable: "an address that only a bridge passes on, or what a router alone says",
	deniedUndecided:  "nothing allowed it, nor denied it: the rules changed half-way",
}

// Denials returns the names of the counters of packets that were dropped, by why they were.
func Denials() map[string]string {
	return map[string]string{
		"egress": deniedEgress, "ingress": deniedIngress, "untracked": deniedUntracked, "unknown_pod": deniedUnknown,
		"undecided": deniedUndecided, "unroutable": deniedUnroutable, "spoofed": deniedSpoofed,
	}
}

type family = ipset.Family

const (
	anyFamily = ipset.AnyFamily
	ipv4      = ipset.IPv4
	ipv6      = ipset.IPv6
)

func familyOf(a netip.Addr) family { return ipset.FamilyOf(a) }

var (
	families    = []family{ipv4, ipv6}
	addressType = map[family]string{ipv4: "ipv4_addr", ipv6: "ipv6_addr"}
	// initiator and server are a connection's two ends.
	initiator = map[family]expr.Field{ipv4: expr.OriginalSource4, ipv6: expr.OriginalSource6}
	server    = map[family]expr.Field{ipv4: expr.ReplySource4, ipv6: expr.ReplySource6}
	// sender and receiver are a packet's.
	sender   = map[family]expr.Field{ipv4: expr.Source4, ipv6: expr.Source6}
	receiver = map[family]expr.Field{ipv4: expr.Destination4, ipv6: expr.Destination6}

	egressMap     = map[family]string{ipv4: "egress4", ipv6: "egress6"}
	ingressMap    = map[family]string{ipv4: "ingress4", ipv6: "ingress6"}
	stagedEgress  = map[family]string{ipv4: "staged-egress4", ipv6: "staged-egress6"}
	stagedIngress = map[family]string{ipv4: "staged-ingress4", ipv6: "staged-ingress6"}
	selfSet       = map[family]string{ipv4: "self4", ipv6: "self6"}
	nodeSet       = map[family]string{ipv4: "node4", ipv6: "node6"}
	rangeSet      = map[family]string{ipv4: "range4", ipv6: "range6"}
	unroutableSet = map[family]string{ipv4: "unroutable4", ipv6: "unroutable6"}
	knownSet      = map[family]string{ipv4: "known4", ipv6: "known6"}
)

const linkLocalSet = "linklocal4"

// serverPort needs the protocol matched before it in the same rule: it is nft's way to know that
// the number is a port.
const serverPort = expr.ReplyPort

// The kinds of links that rules tell apart.
const (
	vethKind   = "veth"
	bridgeKind = "bridge"
)

// hashedName returns prefix-readable-hash. The hash of content alone makes the name unique, so
// what bears it never changes but for a set's elements; the rest is for people.
func hashedName[T string | []byte](prefix, readable string, content T) string {
	sum := sha256.Sum256([]byte(content))
	name := prefix
	if readable = identifier(readable); readable != "" {
		name += "-" + readable
	}
	return name + "-" + hex.EncodeToString(sum[:6])
}

// readableLength keeps names well below what the kernel and people stand: NFT_NAME_MAXLEN is 256.
const readableLength = 40

// identifier keeps what nft's scanner takes for part of a name: letters, digits, "-", "_", ".".
func identifier(text string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '.':
			return r
		default:
			return '-'
		}
	}, text)
	if len(clean) > readableLength {
		clean = clean[:readableLength]
	}
	return strings.Trim(clean, "-.")
}

func remark(text string) string { return nft.Remark(text) }
