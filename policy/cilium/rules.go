package cilium

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/foreign"
)

// rulesOf reads a rule of Cilium, which may have several lists of ports. An empty one allows nothing, and so does
// an empty list of peers.
func rulesOf(path string, item any, direction string) ([]foreign.Rule, error) {
	word := "from"
	if direction == "egress" {
		word = "to"
	}
	endpoints, entities, cidr, cidrSet := word+"Endpoints", word+"Entities", word+"CIDR", word+"CIDRSet"
	of, err := foreign.Object(path, item, endpoints, entities, cidr, cidrSet, "toPorts")
	if err != nil {
		return nil, err
	}
	var said []string
	for _, field := range []string{endpoints, entities, cidr, cidrSet} {
		if _, found := of[field]; found {
			said = append(said, field)
		}
	}
	ports, hasPorts := of["toPorts"]
	switch {
	case len(said) > 1:
		return nil, fmt.Errorf("%s.%s: it is beside %s", path, said[1], said[0])
	case len(said) == 0 && !hasPorts:
		return nil, nil
	}
	var peers []networkingv1.NetworkPolicyPeer
	if len(said) == 1 {
		var isEveryone bool
		peers, isEveryone, err = peersOf(path+"."+said[0], said[0], of[said[0]])
		if err != nil || len(peers) == 0 && !isEveryone {
			return nil, err
		}
	}
	if !hasPorts {
		return []foreign.Rule{{Peers: peers}}, nil
	}
	lists, err := portsOf(path+".toPorts", ports)
	var out []foreign.Rule
	for _, list := range lists {
		out = append(out, foreign.Rule{Peers: peers, Ports: list})
	}
	return out, err
}

// peersOf are the peers that a field says, or everyone.
func peersOf(path, field string, value any) (peers []networkingv1.NetworkPolicyPeer, isEveryone bool, err error) {
	list, err := foreign.List(path, value)
	if err != nil {
		return nil, false, err
	}
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case strings.HasSuffix(field, "Entities"):
			if item != "all" {
				return nil, false, fmt.Errorf("%s: NetworkPolicies know no entity %v", at, item)
			}
			isEveryone = true
		case strings.HasSuffix(field, "Endpoints"):
			pods, namespaces, err := selectorOf(at, item)
			if err != nil {
				return nil, false, err
			}
			peers = append(peers, networkingv1.NetworkPolicyPeer{PodSelector: pods, NamespaceSelector: namespaces})
		default:
			block, err := blockOf(at, item)
			if err != nil {
				return nil, false, err
			}
			peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: block})
		}
	}
	return peers, isEveryone, nil
}

// blockOf reads a range, alone or with others that are taken out of it.
func blockOf(path string, item any) (*networkingv1.IPBlock, error) {
	if text, isText := item.(string); isText {
		return &networkingv1.IPBlock{CIDR: text}, nil
	}
	of, isObject := item.(map[string]any)
	if !isObject {
		return nil, errors.New(path + ": it is no range")
	}
	if err := foreign.Only(path, of, "cidr", "except"); err != nil {
		return nil, err
	}
	block := &networkingv1.IPBlock{}
	block.CIDR, _ = of["cidr"].(string)
	except, _ := of["except"].([]any)
	for _, e := range except {
		block.Except = append(block.Except, fmt.Sprint(e))
	}
	return block, nil
}

// portsOf are the lists of ports of a rule.
func portsOf(path string, value any) ([][]networkingv1.NetworkPolicyPort, error) {
	lists, isList := value.([]any)
	if !isList || len(lists) == 0 {
		return nil, errors.New(path + ": it is no list of ports")
	}
	var out [][]networkingv1.NetworkPolicyPort
	for i, item := range lists {
		at := fmt.Sprintf("%s[%d]", path, i)
		of, err := foreign.Object(at, item, "ports")
		if err != nil {
			return nil, err
		}
		list, _ := of["ports"].([]any)
		if len(list) == 0 {
			return nil, errors.New(at + ".ports: there are none")
		}
		var ports []networkingv1.NetworkPolicyPort
		for j, p := range list {
			found, err := portOf(fmt.Sprintf("%s.ports[%d]", at, j), p)
			if err != nil {
				return nil, err
			}
			ports = append(ports, found...)
		}
		out = append(out, ports)
	}
	return out, nil
}

// portOf is a port of a protocol, or of each where none or any is meant.
func portOf(path string, item any) ([]networkingv1.NetworkPolicyPort, error) {
	of, err := foreign.Object(path, item, "port", "endPort", "protocol")
	if err != nil {
		return nil, err
	}
	protocols := []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
	switch protocol := of["protocol"]; protocol {
	case nil, "", "ANY":
	case "TCP", "UDP", "SCTP":
		protocols = []corev1.Protocol{corev1.Protocol(protocol.(string))}
	default:
		return nil, fmt.Errorf("%s.protocol: NetworkPolicies do not know %v", path, protocol)
	}
	port := networkingv1.NetworkPolicyPort{}
	text := fmt.Sprint(of["port"])
	number, err := strconv.ParseInt(text, 10, 32)
	switch {
	case of["port"] == nil:
		return nil, errors.New(path + ".port: there is none")
	case err != nil:
		port.Port = ptr.To(intstr.FromString(text))
	case number != 0: // which is any
		port.Port = ptr.To(intstr.FromInt32(int32(number)))
	}
	if end, isNumber := of["endPort"].(int64); isNumber && end != 0 {
		port.EndPort = ptr.To(int32(min(end, 1<<16)))
	}
	var out []networkingv1.NetworkPolicyPort
	for _, protocol := range protocols {
		port.Protocol = ptr.To(protocol)
		out = append(out, port)
	}
	return out, nil
}
