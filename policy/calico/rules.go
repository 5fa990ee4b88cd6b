package calico

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/foreign"
	"github.com/apptier/apptier/policy/kube"
)

func rulesOf(spec map[string]any, direction string) ([]foreign.Rule, error) {
	list, err := foreign.List("spec."+direction, spec[direction])
	if err != nil {
		return nil, err
	}
	var out []foreign.Rule
	for i, item := range list {
		path := fmt.Sprintf("spec.%s[%d]", direction, i)
		of, isObject := item.(map[string]any)
		if !isObject {
			return nil, errors.New(path + ": it is no object")
		}
		r, isForAnyone, err := ruleOf(path, of, direction)
		if err != nil {
			return nil, err
		}
		if isForAnyone {
			out = append(out, r)
		}
	}
	return out, nil
}

// ruleOf reads a rule; false for one that matches nothing.
func ruleOf(path string, of map[string]any, direction string) (foreign.Rule, bool, error) {
	if of["action"] != "Allow" {
		return foreign.Rule{}, false, fmt.Errorf("%s.action: %v is none of NetworkPolicies, which allow", path, of["action"])
	}
	if err := foreign.Only(path, of, "action", "protocol", "source", "destination", "metadata"); err != nil {
		return foreign.Rule{}, false, err
	}
	near, far := "destination", "source"
	if direction == "egress" {
		near, far = far, near
	}
	peers, isAnyone, err := peersOf(path+"."+far, of[far], direction)
	if err != nil {
		return foreign.Rule{}, false, err
	}
	own, _ := of[near].(map[string]any)
	known := []string{"ports"}
	if near == "source" {
		known = nil
	}
	if err := foreign.Only(path+"."+near, own, known...); err != nil {
		return foreign.Rule{}, false, err
	}
	destination, _ := of["destination"].(map[string]any)
	ports, err := portsOf(path, of["protocol"], destination["ports"])
	return foreign.Rule{Peers: peers, Ports: ports}, isAnyone || len(peers) > 0, err
}

// peersOf are the peers of a rule; everyone if there are none and anyone is meant.
func peersOf(path string, value any, direction string) (peers []networkingv1.NetworkPolicyPeer, isAnyone bool, err error) {
	of, _ := value.(map[string]any)
	known := []string{"selector", "namespaceSelector", "nets", "notNets"}
	if direction == "egress" {
		known = append(known, "ports")
	}
	if err := foreign.Only(path, of, known...); err != nil {
		return nil, false, err
	}
	_, hasPods := of["selector"]
	_, hasNamespaces := of["namespaceSelector"]
	_, hasNets := of["nets"]
	_, hasNotNets := of["notNets"]
	switch {
	case (hasPods || hasNamespaces) && (hasNets || hasNotNets):
		return nil, false, errors.New(path + ".nets: they are beside a selector, and both are meant at once")
	case hasNets || hasNotNets:
		peers, err = blocksOf(path, of)
		return peers, false, err
	case !hasPods && !hasNamespaces:
		return nil, true, nil
	}
	pods, err := selectorOf(path+".selector", of["selector"], podLabel)
	if err != nil {
		return nil, false, err
	}
	namespaces := []conjunction{nil}
	if hasNamespaces {
		if namespaces, err = selectorOf(path+".namespaceSelector", of["namespaceSelector"], namespaceLabel); err != nil {
			return nil, false, err
		}
	}
	for _, pod := range pods {
		for _, namespace := range namespaces {
			peer := networkingv1.NetworkPolicyPeer{PodSelector: pod.selector()}
			if hasNamespaces {
				peer.NamespaceSelector = namespace.selector()
			}
			peers = append(peers, peer)
		}
	}
	return peers, false, nil
}

// selectorOf reads a selector, and calls its labels as Kubernetes does.
func selectorOf(path string, value any, label func(string) (string, error)) ([]conjunction, error) {
	text, isText := value.(string)
	if !isText && value != nil {
		return nil, errors.New(path + ": it is no text")
	}
	out, err := parseSelector(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, c := range out {
		for i := range c {
			if c[i].Key, err = label(c[i].Key); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return out, nil
}

const prefix = "projectcalico.org/"

func podLabel(key string) (string, error) {
	if strings.HasPrefix(key, prefix) || strings.HasPrefix(key, "pcns.") || strings.HasPrefix(key, "pcsa.") {
		return "", fmt.Errorf("the label %s is none of the pods' own", key)
	}
	return key, nil
}

func namespaceLabel(key string) (string, error) {
	if key == prefix+"name" {
		return corev1.LabelMetadataName, nil
	}
	return podLabel(key)
}

// blocksOf are ranges without the excepted ones.
func blocksOf(path string, of map[string]any) ([]networkingv1.NetworkPolicyPeer, error) {
	nets, err := prefixesOf(path+".nets", of["nets"])
	if err != nil {
		return nil, err
	}
	if of["nets"] == nil {
		nets = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	}
	without, err := prefixesOf(path+".notNets", of["notNets"])
	if err != nil {
		return nil, err
	}
	var out []networkingv1.NetworkPolicyPeer
	for _, net := range nets {
		block, isLeft := &networkingv1.IPBlock{CIDR: net.String()}, true
		for _, w := range without {
			switch {
			case !w.Overlaps(net):
			case w.Bits() <= net.Bits():
				isLeft = false
			default:
				block.Except = append(block.Except, w.String())
			}
		}
		if isLeft {
			out = append(out, networkingv1.NetworkPolicyPeer{IPBlock: block})
		}
	}
	return out, nil
}

func prefixesOf(path string, value any) ([]netip.Prefix, error) {
	list, err := foreign.List(path, value)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, item := range list {
		text, _ := item.(string)
		if address, err := netip.ParseAddr(text); err == nil {
			text = netip.PrefixFrom(address, address.BitLen()).String()
		}
		cidr, err := kube.ParseCIDR(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, cidr)
	}
	return out, nil
}

// protocols are the protocols that NetworkPolicies know, by names and numbers.
var protocols = map[string]corev1.Protocol{
	"TCP": corev1.ProtocolTCP, "UDP": corev1.ProtocolUDP, "SCTP": corev1.ProtocolSCTP,
	"6": corev1.ProtocolTCP, "17": corev1.ProtocolUDP, "132": corev1.ProtocolSCTP,
}

func portsOf(path string, protocol, value any) ([]networkingv1.NetworkPolicyPort, error) {
	list, err := foreign.List(path+".destination.ports", value)
	if err != nil {
		return nil, err
	}
	if protocol == nil {
		if len(list) > 0 {
			return nil, errors.New(path + ".protocol: ports are without a protocol")
		}
		return nil, nil
	}
	of, found := protocols[strings.ToUpper(fmt.Sprint(protocol))]
	if !found {
		return nil, fmt.Errorf("%s.protocol: NetworkPolicies do not know %v", path, protocol)
	}
	if len(list) == 0 {
		return []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(of)}}, nil
	}
	var out []networkingv1.NetworkPolicyPort
	for _, item := range list {
		port := networkingv1.NetworkPolicyPort{Protocol: ptr.To(of)}
		first, last, isRange := strings.Cut(fmt.Sprint(item), ":")
		number, err := strconv.ParseInt(first, 10, 32)
		switch {
		case err == nil:
			port.Port = ptr.To(intstr.FromInt32(int32(number)))
		case isRange:
			return nil, fmt.Errorf("%s.destination.ports: %v is no range", path, item)
		default:
			port.Port = ptr.To(intstr.FromString(first))
		}
		if isRange {
			end, err := strconv.ParseInt(last, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%s.destination.ports: %v is no range", path, item)
			}
			port.EndPort = ptr.To(int32(end))
		}
		out = append(out, port)
	}
	return out, nil
}
