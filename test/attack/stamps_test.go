package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/vishvananda/netns"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/conntrack"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// connections are those of a network namespace.
type connections struct {
	conntrack.Table
	ns netns.NsHandle
}

// Clear is agent.Connections'.
func (c connections) Clear(ctx context.Context, mask uint32, stale func(uint32) bool) error {
	return network.In(c.ns, func() error { return c.Table.Clear(ctx, mask, stale) })
}

// narrow has so few generations that they come again soon, between bits that are others'.
const narrow compile.Mark = 0x0ff00000

// stamped is a node where a connection of attacker and victim has a stamp.
type stamped struct {
	*scene
	kernel nft.Kernel
	now    reach.Snapshot
	syncer *agent.Syncer
	stamp  uint16
}

// allows is what a connection to one of these ports may be by.
func allows(ports ...int) string {
	rule := ""
	for _, p := range ports {
		rule += fmt.Sprintf("{port: %d}, ", p)
	}
	return fmt.Sprintf(`{podSelector: {matchLabels: {app: b}}, ingress: [{ports: [%s]}]}`, rule)
}

// stamps has an agent allow a connection, and leaves it stamped by that.
func (s *scene) stamps() (st *stamped, stop func()) {
	s.t.Helper()
	kernel, stop := s.kernel()
	st = &stamped{scene: s, kernel: kernel}
	st.start(allows(80, 8080))
	s.hold(8080)
	if !s.goesOn() {
		s.t.Fatal("an allowed connection does not work")
	}
	st.stamp = st.generation()
	return st, stop
}

// start starts an agent that knows of nothing.
func (st *stamped) start(policy string) {
	st.t.Helper()
	st.syncer = &agent.Syncer{
		Node: lab.NodeName, Kernel: st.kernel, Feed: agenttest.Source(func() reach.Snapshot { return st.now }), Metrics: agent.NewMetrics(),
		Log: logr.Discard(), Mark: narrow, Connections: connections{ns: st.lab.Node},
	}
	st.set(policy)
}

func (st *stamped) set(policy string) {
	st.t.Helper()
	st.now = st.objects(attack{}, policies{policy})
	lab.Must(st.t, st.syncer.Sync(st.t.Context()))
}

// generation is that of the ruleset in the kernel.
func (st *stamped) generation() uint16 {
	st.t.Helper()
	text, _, err := nft.Marker(st.t.Context(), st.kernel, compile.StampChain)
	lab.Must(st.t, err)
	g, ok := narrow.ParseGeneration(text)
	if !ok {
		st.t.Fatalf("no generation in %q", text)
	}
	return g
}

// hold connects the attacker to the victim.
func (s *scene) hold(port uint16) {
	s.t.Helper()
	address := net.JoinHostPort(s.victim.Address(s.v6).String(), fmt.Sprint(port))
	var listener net.Listener
	s.binds(s.victim, func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	defer listener.Close()
	s.in(s.attacker, func() (err error) {
		s.held.client, err = net.DialTimeout("tcp", address, soon)
		return err
	})
	server, err := listener.Accept()
	lab.Must(s.t, err)
	s.held.server = server
	s.t.Cleanup(func() { _, _ = s.held.client.Close(), server.Close() })
}

// goesOn sends on the connection that is held, and tells whether it arrives.
func (s *scene) goesOn() bool {
	s.t.Helper()
	_, err := s.held.client.Write([]byte("x"))
	lab.Must(s.t, errors.Join(err, s.held.server.SetReadDeadline(time.Now().Add(s.patience))))
	_, err = s.held.server.Read(make([]byte, 1))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	lab.Must(s.t, err)
	return true
}

// A connection that was allowed, was cut and is silent since, is cut still when the number of the ruleset that
// allowed it comes again.
func TestAnOldStampAllowsNothing(t *testing.T) {
	run(t, attack{
		name: "a connection that was cut, when its stamp's number comes again", by: withoutCapabilities, policies: []policies{defaults()[0]},
		rules: func(s *scene, _ attack, _ policies) (stop func()) {
			st, stop := s.stamps()
			st.set(allows(80))
			for i := 0; st.generation() != st.stamp; i++ {
				if i > 300 {
					s.t.Fatalf("generation %d does not come again", st.stamp)
				}
				st.set(allows(80, 1000+i%2))
				<-time.After(time.Millisecond) // clearing needs some of the time
			}
			return stop
		},
		try: (*scene).goesOn,
	})
}

// The same when the rules were lost, and an agent that knows of none begins anew.
func TestAStampOfRulesThatAreGoneAllowsNothing(t *testing.T) {
	run(t, attack{
		name: "a connection that was cut, after the table was lost", by: withoutCapabilities, policies: []policies{defaults()[0]},
		rules: func(s *scene, _ attack, _ policies) (stop func()) {
			st, stop := s.stamps()
			lab.Must(s.t, nft.RemoveTable(s.t.Context(), st.kernel))
			if st.start(allows(80)); st.generation() != st.stamp {
				s.t.Fatalf("an agent that knows of no rules begins with generation %d, not %d: this test cannot tell", st.generation(), st.stamp)
			}
			return stop
		},
		try: (*scene).goesOn,
	})
}
