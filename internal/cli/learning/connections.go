package learning

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	connectionsv1 "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/policy/learn"
)

// connections reads what nodes reported: a list of connections, or one of them.
func (r *records) connections(kind string, text []byte) error {
	var list connectionsv1.ConnectionList
	var err error
	if kind == "Connection" {
		list.Items = make([]connectionsv1.Connection, 1)
		err = json.Unmarshal(text, &list.Items[0])
	} else {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return fmt.Errorf("this %s cannot be read: %s", kind, jsonWords(err))
	}
	for _, m := range list.Missing {
		what := fmt.Sprintf("node %s: %s", m.Node, m.Reason)
		if m.Count > 0 {
			what += fmt.Sprintf(" (%d)", m.Count)
		}
		r.missing = append(r.missing, what)
	}
	r.missing = append(r.missing, list.Notes...)
	for i := range list.Items {
		c := &list.Items[i]
		if c.Verdict == connectionsv1.Allowed && c.Reason == connectionsv1.ReasonDeniedElsewhere {
			continue // it did not arrive, and is in the list as denied
		}
		o := learn.Observation{
			Protocol: c.Protocol, Port: c.Port, Count: c.Count, First: c.First.Time, Last: c.Last.Time,
			Denied: c.Verdict == connectionsv1.Denied, Node: c.Node,
		}
		if o.Source, err = endOf(c.Source); err == nil {
			o.Destination, err = endOf(c.Destination)
		}
		if err != nil {
			return fmt.Errorf("items[%d] %s: %w", i, c.Name, err)
		}
		r.observations = append(r.observations, o)
	}
	return nil
}

func endOf(e connectionsv1.End) (learn.End, error) {
	_, workload, _ := strings.Cut(e.Workload, "/")
	out := learn.End{Namespace: e.Namespace, Pod: e.Pod, Workload: workload}
	if e.Address == "" {
		return out, nil
	}
	var err error
	if out.Address, err = netip.ParseAddr(e.Address); err != nil {
		return out, fmt.Errorf("%q is no address", e.Address)
	}
	return out, nil
}
