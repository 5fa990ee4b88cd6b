package learning

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/learn"
)

// hubbleFlow is what matters of a flow, as hubble observe -o json prints it
// (https://github.com/cilium/cilium/blob/main/api/v1/flow/flow.proto).
type hubbleFlow struct {
	Time    time.Time `json:"time"`
	Verdict string    `json:"verdict"`
	Type    string    `json:"Type"`
	IP      struct {
		Source      string `json:"source"`
		Destination string `json:"destination"`
	} `json:"IP"`
	L4 struct {
		TCP  *hubblePorts `json:"TCP"`
		UDP  *hubblePorts `json:"UDP"`
		SCTP *hubblePorts `json:"SCTP"`
	} `json:"l4"`
	Source      hubbleEnd `json:"source"`
	Destination hubbleEnd `json:"destination"`
	IsReply     *bool     `json:"is_reply"`
	Reply       bool      `json:"reply"`
	EventType   struct {
		Type int `json:"type"`
	} `json:"event_type"`
	SourceService      hubbleService `json:"source_service"`
	DestinationService hubbleService `json:"destination_service"`
	Node               string        `json:"node_name"`
}

type hubblePorts struct {
	Source      int32 `json:"source_port"`
	Destination int32 `json:"destination_port"`
	Flags       struct {
		SYN bool `json:"SYN"`
		ACK bool `json:"ACK"`
	} `json:"flags"`
}

type hubbleEnd struct {
	// ID is that of the pod on the node that saw the flow; 0 for what is elsewhere.
	ID        int64    `json:"ID"`
	Namespace string   `json:"namespace"`
	Pod       string   `json:"pod_name"`
	Labels    []string `json:"labels"`
	Workloads []struct {
		Name string `json:"name"`
	} `json:"workloads"`
}

type hubbleService struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// policyVerdict is the type of the event for the first packet of a connection
// (MessageTypePolicyVerdict in github.com/cilium/cilium/pkg/monitor/api).
const policyVerdict = 5

// passed are the verdicts of what went on; AUDIT is what policies would have dropped.
var passed = []string{"FORWARDED", "REDIRECTED", "AUDIT"}

// flow reads a flow of Hubble.
func (r *records) flow(text []byte) error {
	var f hubbleFlow
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("this flow cannot be read: %s", jsonWords(err))
	}
	protocol, ports := f.ports()
	switch {
	case f.Verdict != "DROPPED" && !slices.Contains(passed, f.Verdict) || f.Type == "SOCK":
		r.ignore("events that say nothing of a connection yet", 1)
		return nil
	case ports == nil:
		r.ignore("flows of other protocols than TCP, UDP and SCTP", 1)
		return nil
	}
	source, err := f.end(f.Source, f.Destination, f.IP.Source, f.SourceService)
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	destination, err := f.end(f.Destination, f.Source, f.IP.Destination, f.DestinationService)
	if err != nil {
		return fmt.Errorf("the destination: %w", err)
	}
	port, client := ports.Destination, ports.Source
	switch f.reply(protocol, ports) {
	case unknown:
		r.ignore("flows of which it is not known who began them", 1)
		return nil
	case yes:
		source, destination, port, client = destination, source, client, port
	case no:
	}
	if port < 1 || port > 65535 {
		return errors.New("the destination has no port")
	}
	source.Service = types.NamespacedName{}
	r.observations = append(r.observations, learn.Observation{
		Source: source, Destination: destination, Protocol: protocol, Port: port, Client: client, Count: 1,
		First: f.Time, Last: f.Time, Denied: f.Verdict == "DROPPED", Node: f.Node,
	})
	return nil
}

func (f *hubbleFlow) ports() (corev1.Protocol, *hubblePorts) {
	switch {
	case f.L4.TCP != nil:
		return corev1.ProtocolTCP, f.L4.TCP
	case f.L4.UDP != nil:
		return corev1.ProtocolUDP, f.L4.UDP
	default:
		return corev1.ProtocolSCTP, f.L4.SCTP
	}
}

type answer int

const (
	unknown answer = iota
	no
	yes
)

// reply says whether the packet went to who began the connection.
func (f *hubbleFlow) reply(protocol corev1.Protocol, ports *hubblePorts) answer {
	isTCP := protocol == corev1.ProtocolTCP
	switch {
	case f.IsReply != nil && *f.IsReply, f.IsReply == nil && f.Reply:
		return yes
	case f.IsReply != nil:
		return no
	case isTCP && ports.Flags.SYN && ports.Flags.ACK:
		return yes
	case isTCP && ports.Flags.SYN, !isTCP && (f.EventType.Type == policyVerdict || f.Verdict == "DROPPED"):
		return no
	default:
		return unknown
	}
}

// end is an end of a flow: what its labels say, which are its identity's.
func (f *hubbleFlow) end(e, other hubbleEnd, address string, service hubbleService) (learn.End, error) {
	out := learn.End{Namespace: e.Namespace, Pod: e.Pod, Service: types.NamespacedName{Namespace: service.Namespace, Name: service.Name}}
	if address != "" {
		var err error
		if out.Address, err = netip.ParseAddr(address); err != nil {
			return out, fmt.Errorf("%q is no address", address)
		}
	}
	if len(e.Workloads) > 0 {
		out.Workload = e.Workloads[0].Name
	}
	reserved := map[string]bool{}
	for _, label := range e.Labels {
		key, value, _ := strings.Cut(label, "=")
		name, isReserved := strings.CutPrefix(key, "reserved:")
		key, isOfPod := strings.CutPrefix(key, "k8s:")
		switch {
		case isReserved:
			reserved[name] = true
		case isOfPod && e.Namespace != "" && !strings.HasPrefix(key, "io.kubernetes.") && !strings.HasPrefix(key, "io.cilium."):
			if out.Labels == nil {
				out.Labels = map[string]string{}
			}
			out.Labels[key] = value
		}
	}
	switch {
	case reserved["kube-apiserver"]:
		out.Is = learn.APIServer
	case reserved["host"] && other.ID != 0:
		out.Is = learn.OwnNode
	case reserved["host"], reserved["remote-node"]:
		out.Is = learn.Nodes
	}
	return out, nil
}
