package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/policy/rule"
)

// portSpan is an inclusive range of ports, within 1 to 65535.
type portSpan struct{ first, last int32 }

func (s portSpan) String() string {
	if s.first == s.last {
		return strconv.Itoa(int(s.first))
	}
	return fmt.Sprintf("%d-%d", s.first, s.last)
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

// portMatch is the part of a rule that matches ports, the family that it applies to, and the set that it looks up, if
// any.
type portMatch struct {
	family family
	match  expr.List
	spec   *setSpec
	// key is the text of the match, by which rules share their ports.
	key string
	// protocol and spans are its ports, unless it matches a named port or all ports.
	protocol corev1.Protocol
	spans    []portSpan
}

// matchesOf returns one match for each protocol and for each named port and family.
func matchesOf(direction Direction, ports rule.Ports) []portMatch {
	if ports.Every {
		return []portMatch{{}}
	}
	numbers := map[corev1.Protocol][]portSpan{}
	var names []ipset.NamedPort
	for _, port := range ports.Of {
		switch {
		case port.Name != "":
			names = append(names, ipset.NamedPort{Name: port.Name, Protocol: port.Protocol})
		case port.Protocol != "":
			numbers[port.Protocol] = append(numbers[port.Protocol], portSpan{port.First, port.Last})
		}
	}
	var out []portMatch
	for _, protocol := range protocols {
		if spans := unionPorts(numbers[protocol]); len(spans) > 0 {
			out = append(out, matchNumbers(protocol, spans))
		}
	}
	for _, named := range names {
		for _, f := range families {
			d := namedSpec(named, direction, f)
			match := expr.List{layer4(named.Protocol), expr.In(d.name, server[f], serverPort)}
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

// allPorts says whether it matches every port of the protocol.
func (m portMatch) allPorts() bool { return m.spans[0] == portSpan{1, rule.LastPort} }

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

// namedSpec is the set of addresses and numbers of a named port. Ingress needs only the pods of this node.
func namedSpec(n ipset.NamedPort, direction Direction, f family) *setSpec {
	d := &setSpec{Spec: ipset.Spec{Family: f, Port: &ipset.PortRef{NamedPort: n, Local: direction == Ingress}}}
	where := map[bool]string{true: "pods of this node", false: "any pod"}[d.Port.Local]
	text := fmt.Sprintf("port %s/%s of %s", n.Name, nftProtocol[n.Protocol], where)
	d.set = set(nft.Key(addressType[f], "inet_service"), remark(text))
	d.name = hashedName(fmt.Sprintf("named%d", f), n.Name+"-"+nftProtocol[n.Protocol].String(), text)
	return d
}
