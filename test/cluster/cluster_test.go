package cluster_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
)

const testCluster = "clustertest"

// TestCluster goes through the life of a cluster: pods on every node reach each other, names resolve, a
// component can be stopped and started, and at the end the machine is as it was.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a cluster, which takes half a minute; run without -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces; run with sudo")
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := build.All(ctx, os.Stderr); err != nil {
		t.Fatal(err)
	}
	before := takeStock(t)
	t.Cleanup(func() { down(t) })
	c, err := cluster.Up(ctx, cluster.Options{Name: testCluster, Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	clients := clientset(t, c)

	t.Run("nodes are ready", func(t *testing.T) { nodesAreReady(ctx, t, c, clients) })
	t.Run("up again finds the same cluster", func(t *testing.T) {
		again, err := cluster.Up(ctx, cluster.Options{Name: testCluster})
		if err != nil {
			t.Fatal(err)
		}
		if !again.Created().Equal(c.Created()) {
			t.Errorf("made another cluster: %s, then %s", c.Created(), again.Created())
		}
	})
	servers := map[string]*corev1.Pod{}
	for _, node := range c.Nodes() {
		servers[node] = startServer(ctx, t, clients, node)
	}
	one, two := awaitRunning(ctx, t, clients, servers["n1"]), awaitRunning(ctx, t, clients, servers["n2"])
	t.Run("pods reach pods of other nodes", func(t *testing.T) {
		expect(ctx, t, c, one, two.Status.PodIP+":8080", corev1.ProtocolTCP, true)
		expect(ctx, t, c, two, one.Status.PodIP+":8080", corev1.ProtocolTCP, true)
		expect(ctx, t, c, one, two.Status.PodIP+":8081", corev1.ProtocolUDP, true)
		expect(ctx, t, c, one, two.Status.PodIP+":9999", corev1.ProtocolTCP, false)
		expect(ctx, t, c, one, two.Status.PodIP+":9999", corev1.ProtocolUDP, false)
	})
	t.Run("names resolve and services answer", func(t *testing.T) {
		eventually(ctx, t, func() error {
			reachable, err := c.Probe(ctx, name(one), "kubernetes.default.svc.cluster.local:443", corev1.ProtocolTCP)
			if err == nil && !reachable {
				err = fmt.Errorf("the service does not answer")
			}
			return err
		})
		if _, err := c.Probe(ctx, name(one), "nobody.default.svc.cluster.local:443", corev1.ProtocolTCP); err == nil {
			t.Error("a name that does not exist gave an answer, not an error")
		}
	})
	t.Run("addresses outside and pods reach each other", func(t *testing.T) { reachesOutside(ctx, t, c, one) })
	t.Run("a component stops and starts", func(t *testing.T) { stopsAndStarts(ctx, t, c) })
	t.Run("nodes have namespaces of their own", func(t *testing.T) {
		out, err := c.Command(ctx, "n2", "hostname").Output()
		if err != nil || strings.TrimSpace(string(out)) != "n2" {
			t.Errorf("hostname on n2 says %q: %v", out, err)
		}
	})
	t.Run("down leaves nothing", func(t *testing.T) {
		down(t)
		after := takeStock(t)
		for what, was := range before {
			if is := after[what]; !slices.Equal(was, is) {
				t.Errorf("%s were %q, are %q", what, was, is)
			}
		}
		if _, err := cluster.Open(testCluster); err == nil {
			t.Error("the cluster is still there")
		}
	})
}

func nodesAreReady(ctx context.Context, t *testing.T, c *cluster.Cluster, clients kubernetes.Interface) {
	nodes, err := clients.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes.Items) != len(c.Nodes()) {
		t.Errorf("%d nodes, want %d", len(nodes.Items), len(c.Nodes()))
	}
	for _, node := range nodes.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				t.Errorf("%s is not ready: %s", node.Name, condition.Message)
			}
		}
	}
}

func reachesOutside(ctx context.Context, t *testing.T, c *cluster.Cluster, pod *corev1.Pod) {
	outside, err := c.Outside(netip.MustParseAddr("203.0.113.10"))
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP} {
		if err := outside.Serve(serving, 443, protocol); err != nil {
			t.Fatal(err)
		}
		expect(ctx, t, c, pod, "203.0.113.10:443", protocol, true)
		expect(ctx, t, c, pod, "203.0.113.10:444", protocol, false)
	}
	for target, want := range map[string]map[corev1.Protocol]bool{
		pod.Status.PodIP + ":8080": {corev1.ProtocolTCP: true, corev1.ProtocolUDP: false},
		pod.Status.PodIP + ":8081": {corev1.ProtocolTCP: false, corev1.ProtocolUDP: true},
	} {
		for protocol, want := range want {
			if got, err := outside.Probe(ctx, target, protocol); err != nil || got != want {
				t.Errorf("%s by %s from outside: %t, %v; want %t", target, protocol, got, err, want)
			}
		}
	}
	for _, address := range []string{"10.244.1.7", "2001:db8::10"} {
		if _, err := c.Outside(netip.MustParseAddr(address)); err == nil {
			t.Errorf("%s should not be possible outside", address)
		}
	}
}

func stopsAndStarts(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	running := func() bool {
		components, err := c.Components(ctx)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(components, func(p cluster.Component) bool {
			return p.Machine == "n1" && p.Name == cluster.KubeProxy
		})
		return i >= 0 && components[i].Running
	}
	if err := c.Stop(ctx, "n1", cluster.KubeProxy); err != nil {
		t.Fatal(err)
	}
	if running() {
		t.Error("still running after stop")
	}
	if err := c.Start(ctx, "n1", cluster.KubeProxy); err != nil {
		t.Fatal(err)
	}
	if err := c.Await(ctx, "n1", cluster.KubeProxy); err != nil {
		t.Fatal(err)
	}
	if !running() {
		t.Error("not running after start")
	}
	if err := c.Stop(ctx, "n1", "nonesuch"); err == nil || !strings.Contains(err.Error(), cluster.Kubelet) {
		t.Errorf("stopping what is not there should name what is: %v", err)
	}
}

func down(t *testing.T) {
	t.Helper()
	downNamed(t, testCluster)
}

func downNamed(t *testing.T, name string) {
	t.Helper()
	// Not the test's context: cleaning up comes after its end.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := cluster.Down(ctx, name); err != nil {
		t.Error(err)
	}
}

func clientset(t *testing.T, c *cluster.Cluster) kubernetes.Interface {
	t.Helper()
	config, err := c.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

func startServer(ctx context.Context, t *testing.T, clients kubernetes.Interface, node string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "server-" + node, Namespace: metav1.NamespaceDefault},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name: "server", Image: build.AgnhostImage, Args: []string{"netexec", "--http-port=8080", "--udp-port=8081"},
		}}},
	}
	created, err := clients.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func awaitRunning(ctx context.Context, t *testing.T, clients kubernetes.Interface, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	eventually(ctx, t, func() (err error) {
		pod, err = clients.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err == nil && (pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "") {
			err = fmt.Errorf("%s is %s", pod.Name, pod.Status.Phase)
		}
		return err
	})
	return pod
}

func eventually(ctx context.Context, t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func expect(ctx context.Context, t *testing.T, c *cluster.Cluster, from *corev1.Pod, target string, protocol corev1.Protocol, want bool) {
	t.Helper()
	// Running is not yet listening.
	eventually(ctx, t, func() error {
		got, err := c.Probe(ctx, name(from), target, protocol)
		if err == nil && got != want {
			err = fmt.Errorf("%s reaches %s by %s: %t, want %t", from.Name, target, protocol, got, want)
		}
		return err
	})
}

func name(pod *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
}
