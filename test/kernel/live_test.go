package kernel

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/test/lab"
)

// sends tells whether a byte written at one end arrives at the other in time.
func sends(t *testing.T, from, to net.Conn, patience time.Duration) bool {
	t.Helper()
	if _, err := from.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	lab.Must(t, to.SetReadDeadline(time.Now().Add(patience)))
	_, err := to.Read(make([]byte, 1))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	lab.Must(t, err)
	return true
}

const (
	soon = 5 * time.Second        // for what is to happen: TCP may wait to send again
	idle = 400 * time.Millisecond // for what is not to
)

// A change of policy takes effect on connections that are established, in both directions, and
// lets them go on when it is taken back.
func TestAChangeTakesEffectOnLiveConnections(t *testing.T) {
	l := newLab(t, lab.Routed)
	client, server := l.Hosts[0], l.Hosts[1]
	open, closed := l.Shop(), l.Shop()
	open.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, ingress: [{ports: [{port: 80}]}]}`)}
	for _, test := range []struct{ name, policy string }{
		{"ingress", `{podSelector: {}, ingress: [{ports: [{port: 81}]}]}`},
		{"egress", `{podSelector: {}, policyTypes: [Egress]}`},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, IPv6 %v", test.name, v6), func(t *testing.T) {
				closed.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", test.policy)}
				table := l.Load(t, open, 1)
				s := l.dial(t, client, server, v6, 80)
				if !sends(t, s.client, s.server, soon) || !sends(t, s.server, s.client, soon) {
					t.Fatal("an allowed connection does not work")
				}

				table = l.Change(t, table, closed, 2)
				if sends(t, s.client, s.server, idle) {
					t.Error("the client still reaches the server")
				}
				if sends(t, s.server, s.client, idle) {
					t.Error("the server still reaches the client")
				}

				l.Change(t, table, open, 3)
				lab.Must(t, s.server.SetReadDeadline(time.Now().Add(soon)))
				if _, err := s.server.Read(make([]byte, 1)); err != nil {
					t.Errorf("the connection does not go on when it is allowed again: %v", err)
				}
			})
		}
	}
}

// A connection that a change does not concern goes on, although it is judged again, and also on
// its replies alone: a reply is not a connection of the pod that answers.
func TestAChangeSparesOtherConnections(t *testing.T) {
	l := newLab(t, lab.Routed)
	client, server := l.Hosts[0], l.Hosts[1]
	snapshot := l.Shop()
	before := l.Load(t, snapshot, 1)
	s := l.dial(t, client, server, false, 80)
	// The server may not connect to anyone, nor anyone to the client.
	snapshot.Policies = []*networkingv1.NetworkPolicy{
		lab.Policy(t, "server", `{podSelector: {matchLabels: {app: b}}, policyTypes: [Egress]}`),
		lab.Policy(t, "client", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress]}`),
	}
	l.Change(t, before, snapshot, 2)
	if !sends(t, s.server, s.client, soon) {
		t.Error("the reply, the first packet after the change, is lost")
	}
	if !sends(t, s.client, s.server, soon) {
		t.Error("the connection is cut")
	}
}
