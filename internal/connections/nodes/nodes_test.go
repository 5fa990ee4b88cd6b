package nodes_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/serving"
	"github.com/apptier/apptier/internal/connections/nodes"
	"github.com/apptier/apptier/internal/testenv/pki"
)

const manager = "apptier-connections-service.apptier-system.svc"

var begin = time.Date(2026, 11, 30, 14, 0, 0, 0, time.UTC)

// enforcer is a node's: what it saw, and how often it was asked.
type enforcer struct {
	list  connections.ConnectionList
	asked atomic.Int32
}

func (e *enforcer) Connections(context.Context, string, time.Time) connections.ConnectionList {
	e.asked.Add(1)
	return e.list
}

// cluster is enforcers, and who asks them.
type cluster struct {
	authority *pki.Authority
	file      string
	clock     time.Time
	asker     nodes.Asker
	nodes     []nodes.Node
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{authority: pki.NewAuthority(t), file: filepath.Join(t.TempDir(), "ca.crt"), clock: begin}
	if err := os.WriteFile(c.file, c.authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	c.asker = nodes.Asker{
		Nodes: func(context.Context, string) ([]nodes.Node, int, error) { return c.nodes, 0, nil },
		Certificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &c.authority.Client(t, manager)[0], nil
		},
		Now:      func() time.Time { return c.clock },
		Deadline: time.Minute,
	}
	return c
}

// add runs a node's server.
func (c *cluster) add(t *testing.T, name string, e *enforcer) {
	t.Helper()
	served, err := serving.NewConnections(serving.Options{Address: pki.Free(t), Authorities: c.file, Client: manager, Node: name})
	if err != nil {
		t.Fatal(err)
	}
	go served.Server(e).Run(t.Context(), &health.Report{}, testr.New(t))
	for {
		conn, err := net.Dial("tcp", served.Address())
		if err == nil {
			conn.Close()
			break
		}
	}
	c.nodes = append(c.nodes, nodes.Node{Name: name, Address: served.Address(), Fingerprint: served.Fingerprint()})
}

var web = connections.End{Address: "10.0.0.1", Namespace: "shop", Pod: "web"}
var database = connections.End{Address: "10.0.1.1", Namespace: "shop", Pod: "db"}

// saw is a connection from the web to the database.
func saw(verdict connections.Verdict, name string, last time.Duration, count int64) connections.Connection {
	return connections.Connection{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Verdict: verdict, Source: web, Destination: database, Protocol: "TCP", Port: 5432,
		First: metav1.NewMicroTime(begin.Add(-time.Hour)), Last: metav1.NewMicroTime(begin.Add(last)), Count: count,
	}
}

// since is a connection that was seen first at a time.
func since(c connections.Connection, first time.Duration) connections.Connection {
	c.First = metav1.NewMicroTime(begin.Add(first))
	return c
}

func listed(list connections.ConnectionList) []string {
	var out []string
	for _, c := range list.Items {
		line := fmt.Sprintf("%s %s x%d at %s", c.Verdict, c.Name, c.Count, c.Node)
		if c.Reason != "" {
			line += ", " + c.Reason
		}
		out = append(out, line)
	}
	for _, m := range list.Missing {
		out = append(out, fmt.Sprintf("missing at %s: %s", m.Node, m.Reason))
	}
	return out
}

func TestMerges(t *testing.T) {
	for name, test := range map[string]struct {
		first, second []connections.Connection
		want          []string
	}{
		"what both ends let through is told once": {
			[]connections.Connection{saw(connections.Allowed, "a", -2*time.Second, 7)},
			[]connections.Connection{saw(connections.Allowed, "b", -time.Second, 9)},
			[]string{"Allowed a x9 at n1"},
		},
		"what another node denies stays what this one let through, and is marked": {
			[]connections.Connection{saw(connections.Allowed, "a", -time.Second, 7)},
			[]connections.Connection{saw(connections.Denied, "b", -2*time.Second, 7)},
			[]string{"Denied b x7 at n2", "Allowed a x7 at n1, denied_elsewhere"},
		},
		"what was allowed before another node denied it": {
			[]connections.Connection{saw(connections.Allowed, "a", -time.Minute, 7)},
			[]connections.Connection{since(saw(connections.Denied, "b", -time.Second, 7), -10*time.Second)},
			[]string{"Allowed a x7 at n1", "Denied b x7 at n2"},
		},
		"what a node denies now is what it let through before": {
			[]connections.Connection{saw(connections.Allowed, "a", -2*time.Second, 7), saw(connections.Denied, "b", -time.Second, 7)},
			nil,
			[]string{"Allowed a x7 at n1", "Denied b x7 at n1"},
		},
		"what was denied long ago may be allowed now": {
			[]connections.Connection{saw(connections.Allowed, "a", -time.Second, 7)},
			[]connections.Connection{saw(connections.Denied, "b", -time.Minute, 7)},
			[]string{"Denied b x7 at n2", "Allowed a x7 at n1"},
		},
		"each end would deny for itself": {
			[]connections.Connection{saw(connections.WouldDeny, "a", -time.Second, 7)},
			[]connections.Connection{saw(connections.WouldDeny, "b", -2*time.Second, 7)},
			[]string{"WouldDeny b x7 at n2", "WouldDeny a x7 at n1"},
		},
		"one node tells apart what it knows apart": {
			[]connections.Connection{saw(connections.Allowed, "a", -2*time.Second, 1), saw(connections.Allowed, "b", -time.Second, 2)},
			nil,
			[]string{"Allowed a x1 at n1", "Allowed b x2 at n1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.add(t, "n1", &enforcer{list: connections.ConnectionList{Items: test.first}})
			c.add(t, "n2", &enforcer{list: connections.ConnectionList{Items: test.second}})
			if difference := cmp.Diff(test.want, listed(c.asker.List(t.Context(), "shop", time.Time{}))); difference != "" {
				t.Error(difference)
			}
		})
	}
}

// What does not answer is named, whatever is wrong with it, and the others' answers are there.
func TestMissingNodesAreNamed(t *testing.T) {
	c := newCluster(t)
	c.add(t, "n1", &enforcer{list: connections.ConnectionList{
		Items:   []connections.Connection{saw(connections.Denied, "a", 0, 1)},
		Missing: []connections.Missing{{Node: "n9", Reason: "no \x1b[31mmemory", Count: 3}},
	}})
	c.add(t, "n2", &enforcer{})
	c.add(t, "n3", &enforcer{})
	c.nodes[2].Fingerprint = c.nodes[1].Fingerprint
	c.nodes = append(c.nodes, nodes.Node{Name: "n4"}, nodes.Node{Name: "n5", Address: pki.Free(t), Fingerprint: "00"})
	web := http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = web.Serve(plain) }()
	defer web.Close()
	c.nodes = append(c.nodes,
		nodes.Node{Name: "n6", Address: plain.Addr().String(), Fingerprint: "01"}, nodes.Node{Name: "n7", Refused: "it is nowhere"})
	want := []string{
		"Denied a x1 at n1",
		"missing at n1: no [31mmemory",
		"missing at n3: what answers at its address is not its enforcer",
		"missing at n4: its enforcer has not said where it answers",
		"missing at n5: its enforcer cannot be reached",
		"missing at n6: its enforcer cannot be reached",
		"missing at n7: it is nowhere",
	}
	if difference := cmp.Diff(want, listed(c.asker.List(t.Context(), "shop", time.Time{}))); difference != "" {
		t.Error(difference)
	}
	c.asker.Nodes = func(context.Context, string) ([]nodes.Node, int, error) { return nil, 0, errors.New("no cache") }
	if difference := cmp.Diff([]string{"missing at : which nodes there are is not known now"}, listed(c.asker.List(t.Context(), "shop", time.Time{}))); difference != "" {
		t.Error(difference)
	}
}

// A node that accepts and says nothing keeps nobody waiting for longer than the deadline.
func TestASilentNode(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c := newCluster(t)
	c.asker.Deadline = 50 * time.Millisecond
	c.nodes = []nodes.Node{{Name: "n1", Address: silent.Addr().String(), Fingerprint: "00"}}
	if difference := cmp.Diff([]string{"missing at n1: its enforcer did not answer in time"}, listed(c.asker.List(t.Context(), "shop", time.Time{}))); difference != "" {
		t.Error(difference)
	}
}

// A node that was late keeps those waiting who ask just then, and nobody in the seconds after.
func TestALateNodeIsNotAskedAgainAtOnce(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var calls atomic.Int32
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			calls.Add(1)
		}
	}()
	c := newCluster(t)
	c.asker.Deadline = 50 * time.Millisecond
	c.nodes = []nodes.Node{{Name: "n1", Address: silent.Addr().String(), Fingerprint: "00"}}
	want := []string{"missing at n1: its enforcer did not answer in time"}
	for _, step := range []struct {
		later time.Duration
		calls int32
	}{{0, 1}, {2 * time.Second, 1}, {2 * time.Second, 1}, {2 * time.Second, 2}} {
		c.clock = c.clock.Add(step.later)
		if difference := cmp.Diff(want, listed(c.asker.List(t.Context(), "shop", time.Time{}))); difference != "" {
			t.Error(difference)
		}
		for calls.Load() < step.calls { // it is called before the time is over, and may notice later
			runtime.Gosched()
		}
		if got := calls.Load(); got != step.calls {
			t.Errorf("after %v it is called %d times, not %d", c.clock.Sub(begin), got, step.calls)
		}
	}
}

// A node that is stolen speaks for itself alone, and writes nothing onto people's terminals.
func TestOneNodeSpeaksForItself(t *testing.T) {
	forged := saw(connections.Denied, "forged", 0, 1)
	forged.Node = "n2"
	escape := saw(connections.Denied, "escape", 0, 1)
	escape.Source.Pod = "web\x1b]0;x\x07"
	long := saw(connections.Denied, "long", 0, 1)
	long.Reason = strings.Repeat("a", 1000)
	nowhere := saw(connections.Denied, "nowhere", 0, 1)
	nowhere.Source.Address = "somewhere"
	verdict := saw("Maybe", "verdict", 0, 1)
	c := newCluster(t)
	c.add(t, "n1", &enforcer{list: connections.ConnectionList{Items: []connections.Connection{forged, escape, long, nowhere, verdict}}})
	want := []string{"Denied forged x1 at n1", "missing at n1: its enforcer gave an answer that cannot be read: 4 connections"}
	if difference := cmp.Diff(want, listed(c.asker.List(t.Context(), "shop", time.Time{}))); difference != "" {
		t.Error(difference)
	}
}

// Ten who look at the same cost a node as much as one; who looks at other things asks for himself.
func TestAnswersServeOthers(t *testing.T) {
	c, e := newCluster(t), &enforcer{list: connections.ConnectionList{Items: []connections.Connection{saw(connections.Denied, "a", 0, 1)}}}
	c.add(t, "n1", e)
	for i := range 10 {
		if got := listed(c.asker.List(t.Context(), "shop", begin.Add(-time.Duration(i)*time.Second))); len(got) != 1 {
			t.Errorf("lists %v", got)
		}
	}
	if asked := e.asked.Load(); asked != 1 {
		t.Errorf("asks %d times", asked)
	}
	c.asker.List(t.Context(), "other", begin)
	c.asker.List(t.Context(), "shop", begin.Add(-2*time.Hour))
	c.clock = c.clock.Add(time.Second)
	c.asker.List(t.Context(), "shop", begin)
	if asked := e.asked.Load(); asked != 4 {
		t.Errorf("asks %d times", asked)
	}
	if got := c.asker.List(t.Context(), "shop", begin.Add(time.Second)); len(got.Items) != 0 {
		t.Errorf("lists what is older than asked for: %v", listed(got))
	}
}

// A list has a bound, and says what it leaves out.
func TestListsAreBounded(t *testing.T) {
	c := newCluster(t)
	total := 0
	for n := range 6 {
		var list connections.ConnectionList
		for i := range 1500 {
			seen := saw(connections.Denied, fmt.Sprint("c", i), 0, 1)
			seen.Source.Pod = fmt.Sprint("web-", i)
			list.Items = append(list.Items, seen)
		}
		total += len(list.Items)
		c.add(t, fmt.Sprint("n", n), &enforcer{list: list})
	}
	got := c.asker.List(t.Context(), "", time.Time{})
	if len(got.Missing) != 1 || int(got.Missing[0].Count)+len(got.Items) != total || len(got.Items) > 5000 {
		t.Errorf("lists %d, missing %v", len(got.Items), got.Missing)
	}
}
