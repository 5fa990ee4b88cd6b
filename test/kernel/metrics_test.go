package kernel

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/test/lab"
)

// Whoever looks at the metrics sees which half of a policy drops packets.
func TestDeniedPacketsAreCountedByWhy(t *testing.T) {
	l := newLab(t, lab.Routed)
	address := freeAddress(t)
	snapshot := l.Shop()
	snapshot.Policies = []*networkingv1.NetworkPolicy{
		lab.Policy(t, "in", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress]}`),
		lab.Policy(t, "out", `{podSelector: {matchLabels: {app: b}}, policyTypes: [Egress]}`),
	}
	l.runWith(t, fake.NewClientset(objects(snapshot)...), agent.Options{Node: lab.NodeName, Log: logr.Discard(), MetricsAddress: address})
	l.awaitRules(t)
	before := l.counts(t, "http://"+address+"/metrics")

	// local-0 is labelled a, local-1 b, local-2 c; nobody knows local-7.
	for i, ends := range [][2]string{{"local-2", "local-0"}, {"local-1", "world-7"}, {"local-7", "world-7"}} {
		for range i + 1 {
			l.expect(t, []lab.Cell{{From: l.Host(ends[0]), To: l.Host(ends[1]), Protocol: "UDP", Port: 80}}, false)
		}
	}
	after := l.counts(t, "http://"+address+"/metrics")
	for reason, want := range map[string]int{"ingress": 1, "egress": 2, "unknown_pod": 3, "untracked": 0, "undecided": 0} {
		if got := after[reason] - before[reason]; got != want {
			t.Errorf("%s: %d packets denied, want %d", reason, got, want)
		}
	}
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	lab.Must(t, err)
	address := listener.Addr().String()
	lab.Must(t, listener.Close())
	return address
}

// counts reads the denied packets by reason.
func (l labNode) counts(t *testing.T, url string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for line := range strings.Lines(scrape(t, url)) {
		var reason string
		var n int
		if _, err := fmt.Sscanf(line, "apptier_enforcer_denied_packets_total{reason=%q} %d", &reason, &n); err == nil {
			counts[reason] = n
		}
	}
	if len(counts) != len(compile.Denials()) {
		t.Fatalf("%d reasons: %v", len(counts), counts)
	}
	return counts
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	lab.Must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	lab.Must(t, err)
	return string(body)
}
