package compile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/policy/kube"
)

// ports is the ports of a rule.
type ports struct {
	any     bool
	numbers map[corev1.Protocol][]portSpan
	names   []namedPort
}

// portSpan is an inclusive range of ports, within 1 to 65535.
type portSpan struct{ first, last int32 }

func (s portSpan) String() string {
	if s.first == s.last {
		return strconv.Itoa(int(s.first))
	}
	return fmt.Sprintf("%d-%d", s.first, s.last)
}

// namedPort is looked up on the pod that serves it.
type namedPort struct {
	name     string
	protocol corev1.Protocol
}

const maxPort = 65535

// add adds one port; what it cannot read adds nothing. API: NetworkPolicyPort.
func (p *ports) add(port networkingv1.NetworkPolicyPort) error {
	protocol := corev1.ProtocolTCP
	if port.Protocol != nil {
		protocol = kube.Protocol(*port.Protocol)
	}
	first, last := int32(1), int32(maxPort)
	switch {
	case nftProtocol[protocol] == 0:
		return fmt.Errorf("protocol %q is none of TCP, UDP and SCTP", protocol)
	case port.Port == nil && port.EndPort != nil:
		return errors.New("endPort needs a port")
	case port.Port == nil:
	case port.Port.Type == intstr.String:
		return p.addNamed(port, protocol)
	default:
		first = port.Port.IntVal
		last = first
		if port.EndPort != nil {
			last = *port.EndPort
		}
		if last < first {
			return errors.New("endPort is below port")
		}
	}
	if first, last = max(first, 1), min(last, maxPort); first > last {
		return fmt.Errorf("port %d is not between 1 and %d", port.Port.IntVal, maxPort)
	}
	if p.numbers == nil {
		p.numbers = map[corev1.Protocol][]portSpan{}
	}
	p.numbers[protocol] = append(p.numbers[protocol], portSpan{first, last})
	return nil
}

func (p *ports) addNamed(port networkingv1.NetworkPolicyPort, protocol corev1.Protocol) error {
	if port.EndPort != nil {
		return errors.New("endPort excludes a named port")
	}
	if port.Port.StrVal == "" {
		return errors.New("port has an empty name")
	}
	p.names = append(p.names, namedPort{port.Port.StrVal, protocol})
	return nil
}

var (
	protocols   = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
	nftProtocol = map[corev1.Protocol]expr.Protocol{
		corev1.ProtocolTCP: expr.TCP, corev1.ProtocolUDP: expr.UDP, corev1.ProtocolSCTP: expr.SCTP,
	}
)

// unionPorts sorts ranges and joins those that overlap or touch.
func unionPorts(spans []portSpan) []portSpan {
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b portSpan) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last))
	})
	var out []portSpan
	for _, s := range sorted {
		if n := len(out); n > 0 && s.first <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, s.last)
			continue
		}
		out = append(out, s)
	}
	return out
}

// portMatch is the part of a rule that is about ports, the family that it is good for, and the set
// that it looks up, if any.
type portMatch struct {
	family family
	match  expr.List
	spec   *setSpec
	// key is the text of the match, by which rules share their ports.
	key string
	// protocol and spans are its ports, unless they go by name or all are meant.
	protocol corev1.Protocol
	spans    []portSpan
}

// matches returns one match for each protocol and for each named port and family.
func (p ports) matches(direction Direction) []portMatch {
	if p.any {
		return []portMatch{{}}
	}
	var out []portMatch
	for _, protocol := range protocols {
		if spans := unionPorts(p.numbers[protocol]); len(spans) > 0 {
			out = append(out, matchNumbers(protocol, spans))
		}
	}
	for _, named := range p.names {
		for _, f := range families {
			d := named.spec(direction, f)
			match := expr.List{layer4(named.protocol), expr.In(d.name, server[f], serverPort)}
			out = append(out, portMatch{family: f, spec: d, match: match, key: match.String()})
		}
	}
	return out
}

func layer4(protocol corev1.Protocol) expr.Transport { return expr.Of(nftProtocol[protocol]) }

func matchNumbers(protocol corev1.Protocol, spans []portSpan) portMatch {
	m := portMatch{match: expr.List{layer4(protocol)}, protocol: protocol, spans: spans}
	switch {
	case m.allPorts():
	case len(spans) == 1:
		m.match = append(m.match, expr.Port{Field: serverPort, First: uint16(spans[0].first), Last: uint16(spans[0].last)})
	default:
		m.spec = numbers(spans)
		m.match = append(m.match, expr.In(m.spec.name, serverPort))
	}
	m.key = m.match.String()
	return m
}

// allPorts tells whether every port of the protocol is meant.
func (m portMatch) allPorts() bool { return m.spans[0] == portSpan{1, maxPort} }

// numbers is the set that holds these ports.
func numbers(spans []portSpan) *setSpec {
	d := &setSpec{set: set("inet_service", "")}
	d.set.Interval = true
	for _, s := range spans {
		d.keys = append(d.keys, s.String())
	}
	d.name = hashedName("ports", strings.Join(d.keys, "_"), strings.Join(d.keys, ","))
	return d
}

// spec is the set of addresses and numbers that a named port stands for. For ingress, only the pods
// of this node are needed.
func (n namedPort) spec(direction Direction, f family) *setSpec {
	d := &setSpec{family: f, port: &n, local: direction == Ingress}
	where := map[bool]string{true: "pods of this node", false: "any pod"}[d.local]
	text := fmt.Sprintf("port %s/%s of %s", n.name, nftProtocol[n.protocol], where)
	d.set = set(nft.Key(addressType[f], "inet_service"), remark(text))
	d.name = hashedName(fmt.Sprintf("named%d", f), n.name+"-"+nftProtocol[n.protocol].String(), text)
	return d
}
