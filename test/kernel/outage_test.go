package kernel

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// An agent that was cut off for longer than the API server remembers cannot go on watching where it was:
// what went meanwhile is gone, though nobody ever says so. Until then the old rules hold.
func TestAnAgentWhoseWatchesHaveExpiredListsAnew(t *testing.T) {
	t.Parallel()
	lab.RequireKernel(t)
	config, _ := apiserver.Start(t, forgetful)
	direct := kubernetes.NewForConfigOrDie(config)
	l := newLab(t, lab.Routed)
	l.Listen(t, probePorts)
	before := l.Shop()
	before.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "goes", `{podSelector: {matchLabels: {app: a}}}`)}
	upload(t, direct, before)

	cable := &cable{}
	config = rest.CopyConfig(config)
	config.Dial = cable.dial
	agent.WaitForServer(config, logr.Discard())
	l.runWith(t, kubernetes.NewForConfigOrDie(config), agent.Options{Node: lab.NodeName, Log: logr.Discard()})
	l.awaitRules(t)
	cable.cut()
	pods, policies := direct.CoreV1().Pods("y"), direct.NetworkingV1().NetworkPolicies("x")
	list, err := policies.List(t.Context(), metav1.ListOptions{})
	lab.Must(t, err)
	lab.Must(t, policies.Delete(t.Context(), "goes", metav1.DeleteOptions{}))
	lab.Must(t, pods.Delete(t.Context(), "local-3", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	upload(t, direct, reach.Snapshot{Policies: []*networkingv1.NetworkPolicy{lab.Policy(t, "comes", `{podSelector: {matchLabels: {app: b}}}`)}})
	awaitExpiry(t, direct, list.ResourceVersion)
	after, err := agent.List(t.Context(), direct, nil)
	lab.Must(t, err)

	opened := []lab.Cell{{From: l.Host("local-2"), To: l.Host("local-0"), Protocol: corev1.ProtocolTCP, Port: 80}}
	closed := both(l.Host("local-2"), l.Host("local-3"))
	l.check(t, before, probePorts)
	cable.mend()
	eventually(t, "the agent knows of what has changed", func() bool {
		return l.Probe(t, opened, idle)[0] && !slices.Contains(l.Probe(t, closed, idle), true)
	})
	l.check(t, after, probePorts)
}

// forgetful has the API server forget within seconds what has been.
func forgetful(e *envtest.Environment, _ string) {
	e.ControlPlane.GetAPIServer().Configure().Set("watch-cache", "false").Set("etcd-compaction-interval", "1s")
}

// awaitExpiry waits until nobody can watch from a version on.
func awaitExpiry(t *testing.T, client kubernetes.Interface, version string) {
	t.Helper()
	eventually(t, "the API server forgets", func() bool {
		w, err := client.NetworkingV1().NetworkPolicies("").Watch(t.Context(), metav1.ListOptions{ResourceVersion: version})
		if err != nil {
			return errors.IsResourceExpired(err)
		}
		defer w.Stop()
		event := <-w.ResultChan()
		return event.Type == watch.Error && errors.IsResourceExpired(errors.FromObject(event.Object))
	})
}

// upload writes objects with their status, as the scheduler and the kubelets would leave them.
func upload(t *testing.T, client kubernetes.Interface, s reach.Snapshot) {
	t.Helper()
	for _, o := range s.Namespaces {
		_, err := client.CoreV1().Namespaces().Create(t.Context(), o, metav1.CreateOptions{})
		lab.Must(t, err)
	}
	for _, o := range s.Nodes {
		created, err := client.CoreV1().Nodes().Create(t.Context(), o, metav1.CreateOptions{})
		lab.Must(t, err)
		created.Status = o.Status
		_, err = client.CoreV1().Nodes().UpdateStatus(t.Context(), created, metav1.UpdateOptions{})
		lab.Must(t, err)
	}
	for _, o := range s.Pods {
		o = o.DeepCopy()
		o.Spec.Containers[0].Name, o.Spec.Containers[0].Image = "main", "example.com/main"
		created, err := client.CoreV1().Pods(o.Namespace).Create(t.Context(), o, metav1.CreateOptions{})
		lab.Must(t, err)
		created.Status = o.Status
		_, err = client.CoreV1().Pods(o.Namespace).UpdateStatus(t.Context(), created, metav1.UpdateOptions{})
		lab.Must(t, err)
	}
	for _, o := range s.Policies {
		_, err := client.NetworkingV1().NetworkPolicies(o.Namespace).Create(t.Context(), o, metav1.CreateOptions{})
		lab.Must(t, err)
	}
}

// cable is what a client reaches the API server through.
type cable struct {
	mu     sync.Mutex
	broken bool
	conns  []net.Conn
}

func (c *cable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.EHOSTUNREACH}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

// cut ends what goes through it, and lets nothing more through.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = false
}
