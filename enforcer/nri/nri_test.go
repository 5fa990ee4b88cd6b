package nri_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/apptier/apptier/enforcer/nri"
)

func TestWhatIsAnnounced(t *testing.T) {
	w := newWorld(t)
	runtime := w.startRuntime(t)
	w.start(t)
	w.connected(t, runtime)
	for _, c := range []struct {
		name   string
		change func(*adaptation.PodSandbox)
		want   []nri.Pod
		failed int
	}{
		{"a pod with its labels", func(*adaptation.PodSandbox) {},
			[]nri.Pod{pod(map[string]string{"app": "web"}, "10.244.1.7")}, 0},
		{"both families", func(s *adaptation.PodSandbox) { s.Ips = append(s.Ips, "fd00:10:244:1::7") },
			[]nri.Pod{pod(map[string]string{"app": "web"}, "10.244.1.7", "fd00:10:244:1::7")}, 0},
		{"not the labels of kubelet and containerd", func(s *adaptation.PodSandbox) {
			s.Labels["io.kubernetes.pod.name"], s.Labels["io.cri-containerd.kind"] = "web", "sandbox"
		}, []nri.Pod{pod(map[string]string{"app": "web"}, "10.244.1.7")}, 0},
		{"an IPv4 address in IPv6 form is one of IPv4", func(s *adaptation.PodSandbox) { s.Ips = []string{"::ffff:10.244.1.7"} },
			[]nri.Pod{pod(map[string]string{"app": "web"}, "10.244.1.7")}, 0},
		{"none of the host network", func(s *adaptation.PodSandbox) { s.Linux.Namespaces = s.Linux.Namespaces[:1] }, nil, 0},
		{"none whose addresses the runtime does not tell", func(s *adaptation.PodSandbox) { s.Ips = nil }, nil, 1},
		{"none with an address that is none", func(s *adaptation.PodSandbox) { s.Ips = []string{"10.244.1.300"} }, nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.results(t)
			s := sandbox("web", "10.244.1.7")
			c.change(s)
			run(t, runtime, s)
			if diff := cmp.Diff(c.want, w.heard(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("-want +announced:\n%s", diff)
			}
			after := w.results(t)
			want := map[string]int{"in_time": before["in_time"] + len(c.want), "failed": before["failed"] + c.failed}
			if diff := cmp.Diff(want, after); diff != "" {
				t.Errorf("-want +counted:\n%s", diff)
			}
		})
	}
}

func pod(labels map[string]string, addresses ...string) nri.Pod {
	p := nri.Pod{Namespace: "shop", Name: "web", UID: "uid-of-web", Labels: labels}
	for _, address := range addresses {
		p.Addresses = append(p.Addresses, netip.MustParseAddr(address))
	}
	return p
}

// Nothing of a pod runs before the runtime goes on, so whatever the pod sends comes after its rules.
func TestAPodStartsAfterItsRules(t *testing.T) {
	w := newWorld(t)
	runtime := w.startRuntime(t)
	w.start(t)
	w.connected(t, runtime)
	order := make(chan string, 2)
	asked, programmed := make(chan struct{}), make(chan struct{})
	w.answers(func(context.Context, nri.Pod) error {
		close(asked)
		<-programmed
		order <- "rules"
		return nil
	})
	go func() {
		run(t, runtime, sandbox("web", "10.244.1.7"))
		order <- "start"
	}()
	<-asked
	close(programmed)
	if first, second := <-order, <-order; first != "rules" || second != "start" {
		t.Errorf("%s, then %s", first, second)
	}
}

// A pod whose rules do not come starts all the same, before the runtime loses its patience and drops the
// plugin: the next pod is announced again.
func TestAPodDoesNotWaitForEver(t *testing.T) {
	adaptation.SetPluginRequestTimeout(1600 * time.Millisecond)
	t.Cleanup(func() { adaptation.SetPluginRequestTimeout(adaptation.DefaultPluginRequestTimeout) })
	w := newWorld(t)
	runtime := w.startRuntime(t)
	w.start(t)
	w.connected(t, runtime)
	w.answers(func(ctx context.Context, _ nri.Pod) error {
		<-ctx.Done()
		return ctx.Err()
	})
	before := w.results(t)
	run(t, runtime, sandbox("late", "10.244.1.8"))
	if got := w.results(t)["failed"] - before["failed"]; got != 1 || w.lines("shop/late") != 1 {
		t.Errorf("%d counted as failed, %d lines; want one of each", got, w.lines("shop/late"))
	}
	w.answers(func(context.Context, nri.Pod) error { return errors.New("no kernel") })
	w.heard()
	run(t, runtime, sandbox("web", "10.244.1.7"))
	if !slices.ContainsFunc(w.heard(), func(p nri.Pod) bool { return p.Name == "web" }) {
		t.Error("the runtime dropped the plugin")
	}
	if w.lines("announces no pods") != 0 {
		t.Error("the connection was lost")
	}
}

// A runtime that drops the plugin looks to it like one that ends.
func TestARuntimeThatComesAndGoes(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	eventually(t, "it says that there is none", func() bool { return w.lines("announces no pods") > 0 })
	runtime := w.startRuntime(t)
	w.connected(t, runtime)

	hang := make(chan struct{})
	w.answers(func(context.Context, nri.Pod) error {
		<-hang
		return nil
	})
	adaptation.SetPluginRequestTimeout(100 * time.Millisecond)
	t.Cleanup(func() { adaptation.SetPluginRequestTimeout(adaptation.DefaultPluginRequestTimeout) })
	run(t, runtime, sandbox("web", "10.244.1.7"))
	eventually(t, "it says that there is none any more", func() bool { return w.lines("announces no pods") > 1 })
	close(hang)
	adaptation.SetPluginRequestTimeout(adaptation.DefaultPluginRequestTimeout)
	w.heard()
	w.connected(t, runtime)
	if lost, found := w.lines("announces no pods"), w.lines("announces pods"); lost != 2 || found != 2 {
		t.Errorf("it says %d times that there is none and %d times that there is one, want 2 and 2", lost, found)
	}
}

// Pods would wait in vain for an agent that has no rules yet.
func TestAnAgentThatHasNoRulesYet(t *testing.T) {
	w := newWorld(t)
	w.ready.Store(false)
	runtime := w.startRuntime(t)
	w.start(t)
	eventually(t, "the agent is asked again", func() bool { return w.asked.Load() > 2 })
	run(t, runtime, sandbox("early", "10.244.1.7"))
	if pods := w.heard(); len(pods) > 0 || len(w.logged) > 0 {
		t.Errorf("announced %v, logged %q", pods, w.logged)
	}
	w.ready.Store(true)
	w.connected(t, runtime)
}

// rude is a runtime that takes a plugin, and goes away before it has configured it.
type rude struct {
	api.RuntimeService
	registered chan struct{}
}

func (r rude) RegisterPlugin(context.Context, *api.RegisterPluginRequest) (*api.Empty, error) {
	close(r.registered)
	return &api.Empty{}, nil
}

func TestARuntimeThatGoesAwayHalfWay(t *testing.T) {
	w := newWorld(t)
	listener, err := net.Listen("unix", w.Socket)
	if err != nil {
		t.Fatal(err)
	}
	w.start(t)
	for range 5 { // by the time that it closes the connection, its answer may be sent or not
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		serveRudely(t, conn)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	w.connected(t, w.startRuntime(t))
}

func serveRudely(t *testing.T, conn net.Conn) {
	t.Helper()
	mux := multiplex.Multiplex(conn, multiplex.WithBlockedRead()) // what comes before Listen would be lost
	listener, err := mux.Listen(multiplex.RuntimeServiceConn)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	registered := make(chan struct{})
	api.RegisterRuntimeService(server, rude{registered: registered})
	go func() { _ = server.Serve(t.Context(), listener) }() // until it is closed
	mux.Unblock()
	<-registered
	if err := errors.Join(mux.Close(), server.Close()); err != nil {
		t.Fatal(err)
	}
}
