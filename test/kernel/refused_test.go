package kernel

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/test/lab"
)

// When the kernel refuses what a policy says, that policy allows nobody, the others are in force, and
// log, metric and Event say so. Put right, it is enforced like any other.
func TestAPolicyThatTheKernelRefusesIsClosedAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t, lab.Routed)
	l.Listen(t, probePorts)
	snapshot := l.Shop()
	snapshot.Policies = []*networkingv1.NetworkPolicy{
		lab.Policy(t, "good", `{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {matchLabels: {app: c}}}]}]}`),
		lab.Policy(t, "bad", `{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {}}]}]}`),
	}
	kernel := openNode(t, l.Node)
	kernel.poison = "192.0.2.7"
	var log record
	address := freeAddress(t)
	api := fake.NewClientset(objects(snapshot)...)
	l.runWith(t, api, agent.Options{Node: lab.NodeName, Kernel: kernel, Log: funcr.New(log.write, funcr.Options{}), MetricsAddress: address})
	l.awaitRules(t)
	l.check(t, snapshot, probePorts)

	bad := lab.Policy(t, "bad", `{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 192.0.2.7/32}}]}]}`)
	put(t, api, bad)
	eventually(t, "the policy is reported", func() bool {
		return eventAbout(t, api, "bad") && strings.Contains(scrape(t, "http://"+address+"/metrics"), "apptier_enforcer_policy_problems 1\n") &&
			log.has("the kernel refuses its rules", `"policy"="x/bad"`)
	})
	closed := snapshot
	closed.Policies = []*networkingv1.NetworkPolicy{snapshot.Policies[0], lab.Policy(t, "bad", `{podSelector: {matchLabels: {app: b}}}`)}
	l.check(t, closed, probePorts)

	// What changes otherwise still takes effect.
	other := lab.Policy(t, "good", `{podSelector: {matchLabels: {app: a}}, ingress: [{}]}`)
	put(t, api, other)
	closed.Policies[0] = other
	opened := []lab.Cell{{From: l.Host("world-7"), To: l.Host("local-0"), Protocol: corev1.ProtocolTCP, Port: 80}}
	eventually(t, "the other policy is enforced", func() bool { return l.Probe(t, opened, 50*time.Millisecond)[0] })
	l.check(t, closed, probePorts)

	put(t, api, snapshot.Policies[1])
	eventually(t, "the problem is gone", func() bool {
		return strings.Contains(scrape(t, "http://"+address+"/metrics"), "apptier_enforcer_policy_problems 0\n")
	})
	snapshot.Policies = []*networkingv1.NetworkPolicy{other, snapshot.Policies[1]}
	l.check(t, snapshot, probePorts)
}

func eventAbout(t *testing.T, client kubernetes.Interface, policy string) bool {
	t.Helper()
	events, err := client.EventsV1().Events("").List(t.Context(), metav1.ListOptions{})
	lab.Must(t, err)
	for _, e := range events.Items {
		if e.Regarding.Name == policy && e.Type == corev1.EventTypeWarning && strings.Contains(e.Note, "the kernel refuses its rules") {
			return true
		}
	}
	return false
}

// record keeps what is logged.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) write(prefix, args string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprint(prefix, args))
}

// has tells whether one line contains all words.
func (r *record) has(words ...string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		found := true
		for _, word := range words {
			found = found && strings.Contains(line, word)
		}
		if found {
			return true
		}
	}
	return false
}
