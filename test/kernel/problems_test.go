package kernel

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/vishvananda/netlink"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/wiring"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// What keeps packets from being judged is said, and no longer when it is mended.
func TestUnjudgedPathsAreReported(t *testing.T) {
	const later = time.Minute
	l := newLab(t, lab.Bridged)
	looks := l.Looks(t)
	reasons := func(after time.Duration) string {
		lab.Must(t, refresh(t, looks, l.Given()))
		var out []string
		for _, p := range looks.Problems(time.Now().Add(after)) {
			out = append(out, string(p.Reason)+" "+p.Message)
			if p.Severity != health.NotReady {
				t.Errorf("a warning only: %s", p.Message)
			}
		}
		return strings.Join(out, "\n")
	}
	in := func(f func() error) {
		t.Helper()
		lab.Must(t, network.In(l.Node, f))
	}
	if got := reasons(later); got != "" {
		t.Fatalf("nothing is wrong: %s", got)
	}

	setting := "/proc/sys/net/bridge/bridge-nf-call-ip6tables"
	in(func() error { return os.WriteFile(setting, []byte("0"), 0) })
	if got := reasons(0); !strings.Contains(got, "BridgeUnseen") || !strings.Contains(got, "net.bridge.bridge-nf-call-ip6tables=1") || strings.Contains(got, "iptables=1 and") {
		t.Errorf("bridges hide what they pass on: %q", got)
	}
	in(func() error { return os.WriteFile(setting, []byte("1"), 0) })
	registry := prometheus.NewRegistry()
	registry.MustRegister(looks)
	if families, err := registry.Gather(); err != nil || len(families) != 1 || len(families[0].GetMetric()) != len(bind.Denials()) {
		t.Errorf("metrics %v, %v", families, err)
	}

	// What each leaves on the node is a link.
	for name, want := range map[string]string{"kube-ipvs0": "ProxiedByIPVS", "cilium_host": "RedirectedByEBPF"} {
		in(func() error { return network.AddBridge(name) })
		if got := reasons(0); !strings.HasPrefix(got, want+" ") {
			t.Errorf("there is a link %s: %q", name, got)
		}
		in(func() error {
			l, err := netlink.LinkByName(name)
			return errors.Join(err, netlink.LinkDel(l))
		})
		if got := reasons(later); got != "" {
			t.Errorf("all is mended: %s", got)
		}
	}

	// A pod of the bridge's range, and no port of the bridge that leads to it.
	unbound := append(l.Given(), bind.Pod{Name: "y/unbound", Addresses: []netip.Addr{netip.MustParseAddr("10.244.0.200")}})
	lab.Must(t, refresh(t, looks, unbound))
	if got := looks.Problems(time.Now()); len(got) != 0 {
		t.Errorf("said too soon: %v", got)
	}
	if got := looks.Problems(time.Now().Add(later)); len(got) != 1 || got[0].Reason != "PortUnbound" || !strings.Contains(got[0].Message, "y/unbound") {
		t.Errorf("a pod without a port: %v", got)
	}
	if got := reasons(later); got != "" {
		t.Errorf("the pod is gone: %s", got)
	}

	// A pod that no link leads to: as by macvlan, which the node's namespace does not show.
	elsewhere := append(l.Given(), bind.Pod{Name: "y/elsewhere", Addresses: []netip.Addr{l.Host("world-7").V4}})
	lab.Must(t, refresh(t, looks, elsewhere))
	if got := looks.Problems(time.Now()); len(got) != 0 {
		t.Errorf("said too soon: %v", got)
	}
	if got := looks.Problems(time.Now().Add(later)); len(got) != 1 || !strings.Contains(got[0].Message, "y/elsewhere") {
		t.Errorf("a pod that is off the node: %v", got)
	}
}

// refresh has the links listed anew, as their changes would.
func refresh(t *testing.T, looks *wiring.Node, pods []bind.Pod) error {
	if err := looks.Links.Refresh(); err != nil {
		return err
	}
	_, err := looks.Sync(t.Context(), pods)
	return err
}
