package patterns

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// Table is a small world, and who reaches whom in it once the sample is applied. Everybody listens on
// every port that a row of the table names, so that what is denied is denied by policy alone.
type Table struct {
	Title string `json:"title"`
	// Pods are the labels of each pod, by namespace/name.
	Pods map[string]map[string]string `json:"pods"`
	// Namespaces are the labels of those namespaces that have some.
	Namespaces map[string]map[string]string `json:"namespaces,omitempty"`
	// Outside are the addresses, by name, of machines that are not the cluster's.
	Outside map[string][]netip.Addr `json:"outside,omitempty"`
	// Allow and Deny are what must hold.
	Allow []Row `json:"allow"`
	Deny  []Row `json:"deny"`
	// Before is what must hold while only some AppTiers of the sample are there.
	Before []Stage `json:"before,omitempty"`
}

// Stage is a state on the way to the whole sample.
type Stage struct {
	// Apply names the AppTiers that are there, as namespace/name.
	Apply []string `json:"apply"`
	Deny  []Row    `json:"deny"`
}

// Row is a line of a table, written "source, source -> target, target": each source, to each target.
type Row struct {
	Sources []string
	Targets []Target
}

// Target is a pod or an outside name, and a port, written "name:8080" or "name:53/UDP"; or DNS, which
// is looking a name up, by UDP and TCP.
type Target struct {
	Name     string
	Port     int32
	Protocol corev1.Protocol
}

const (
	// DNS is the target that stands for the cluster's DNS.
	DNS = "DNS"
	// Kubelet is the source that stands for the node that the target's pod is on, which probes it.
	Kubelet = "kubelet"
)

func readTable(path string) (Table, error) {
	var t Table
	text, err := os.ReadFile(path)
	if err != nil {
		return t, err
	}
	if err := yaml.UnmarshalStrict(text, &t); err != nil {
		return t, err
	}
	rows := slices.Concat(t.Allow, t.Deny)
	for _, stage := range t.Before {
		rows = append(rows, stage.Deny...)
	}
	_, err = t.Checks(rows)
	return t, err
}

// UnmarshalText reads a row as it is written.
func (r *Row) UnmarshalText(text []byte) error {
	sources, targets, ok := strings.Cut(string(text), " -> ")
	if !ok {
		return fmt.Errorf("%q: write source -> target:port", text)
	}
	r.Sources = strings.Split(sources, ", ")
	for _, text := range strings.Split(targets, ", ") {
		target, err := parseTarget(text)
		if err != nil {
			return err
		}
		r.Targets = append(r.Targets, target)
	}
	return nil
}

func parseTarget(text string) (Target, error) {
	if text == DNS {
		return Target{Name: DNS}, nil
	}
	name, port, _ := strings.Cut(text, ":")
	protocol := corev1.ProtocolTCP
	if before, isUDP := strings.CutSuffix(port, "/UDP"); isUDP {
		port, protocol = before, corev1.ProtocolUDP
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Target{}, fmt.Errorf("the target %q: write name:port, or name:port/UDP", text)
	}
	return Target{Name: name, Port: int32(number), Protocol: protocol}, nil
}

// String is the target as it is written.
func (t Target) String() string {
	switch {
	case t.Name == DNS:
		return DNS
	case t.Protocol == corev1.ProtocolTCP:
		return fmt.Sprintf("%s:%d", t.Name, t.Port)
	}
	return fmt.Sprintf("%s:%d/%s", t.Name, t.Port, t.Protocol)
}

// End is an end of a connection: a pod, an address outside, or one of the words DNS and Kubelet.
type End struct {
	Pod     types.NamespacedName
	Address netip.Addr
	Word    string
}

func (e End) String() string {
	switch {
	case e.Word != "":
		return e.Word
	case e.Address.IsValid():
		return e.Address.String()
	}
	return e.Pod.String()
}

// Check is one connection that is tried.
type Check struct {
	From, To End
	Port     int32
	Protocol corev1.Protocol
}

func (c Check) String() string {
	return fmt.Sprintf("%s -> %s", c.From, Target{Name: c.To.String(), Port: c.Port, Protocol: c.Protocol})
}

// Checks are the connections that rows are about: for an outside name, one for each of its addresses.
func (t *Table) Checks(rows []Row) ([]Check, error) {
	var checks []Check
	for _, row := range rows {
		for _, source := range row.Sources {
			from, err := t.ends(source)
			if err != nil {
				return nil, err
			}
			for _, target := range row.Targets {
				to, err := t.ends(target.Name)
				if err != nil {
					return nil, err
				}
				for _, f := range from {
					for _, d := range to {
						checks = append(checks, Check{From: f, To: d, Port: target.Port, Protocol: target.Protocol})
					}
				}
			}
		}
	}
	return checks, nil
}

// ends looks a name up: an outside name, namespace/name of a pod, or a pod's name where no other pod
// has it.
func (t *Table) ends(name string) ([]End, error) {
	if name == DNS || name == Kubelet {
		return []End{{Word: name}}, nil
	}
	var found []End
	for _, address := range t.Outside[name] {
		found = append(found, End{Address: address})
	}
	if len(found) > 0 {
		return found, nil
	}
	for full := range t.Pods {
		namespace, pod, _ := strings.Cut(full, "/")
		if full == name || pod == name {
			found = append(found, End{Pod: types.NamespacedName{Namespace: namespace, Name: pod}})
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%q is the name of %d pods and of no address outside", name, len(found))
	}
	return found, nil
}
