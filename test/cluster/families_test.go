package cluster_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/test/cluster"
)

// TestFamilies does with IPv6, and with both families, what a cluster is for: pods reach each other over
// the nodes' network, services and names work, and so does what is outside.
func TestFamilies(t *testing.T) {
	if testing.Short() {
		t.Skip("boots clusters, which takes half a minute; run without -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces; run with sudo")
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, c := range []struct {
		name    string
		shape   cluster.Shape
		pods    []string // where the first node's pods have their addresses
		outside []string
	}{
		{"ipv6", cluster.Shape{IPFamily: cluster.IPv6, CNI: cluster.CNIBridge}, []string{"fd00:10:244:1::/64"}, []string{"2001:db8::10"}},
		{"dual", cluster.Shape{IPFamily: cluster.DualStack}, []string{"10.244.1.0/24", "fd00:10:244:1::/64"}, []string{"203.0.113.10", "2001:db8::10"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := startFamily(ctx, t, c.shape)
			clients := clientset(t, up)
			one, two := startServer(ctx, t, clients, "n1"), startServer(ctx, t, clients, "n2")
			one, two = awaitRunning(ctx, t, clients, one), awaitRunning(ctx, t, clients, two)
			hasAddresses(t, one, c.pods)
			hasRanges(ctx, t, clients, one.Spec.NodeName, c.pods)
			for _, ip := range two.Status.PodIPs {
				expect(ctx, t, up, one, net.JoinHostPort(ip.IP, "8080"), corev1.ProtocolTCP, true)
				expect(ctx, t, up, one, net.JoinHostPort(ip.IP, "8081"), corev1.ProtocolUDP, true)
				expect(ctx, t, up, one, net.JoinHostPort(ip.IP, "9999"), corev1.ProtocolTCP, false)
			}
			for _, address := range c.outside {
				reachesFamily(ctx, t, up, one, netip.MustParseAddr(address))
			}
			resolves(ctx, t, up, two)
		})
	}
}

const familyCluster = testCluster + "-ip"

func startFamily(ctx context.Context, t *testing.T, shape cluster.Shape) *cluster.Cluster {
	t.Helper()
	t.Cleanup(func() { downNamed(t, familyCluster) })
	c, err := cluster.Up(ctx, cluster.Options{Name: familyCluster, Shape: shape, Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hasAddresses(t *testing.T, pod *corev1.Pod, want []string) {
	t.Helper()
	if len(pod.Status.PodIPs) != len(want) {
		t.Fatalf("the pod has the addresses %v, want one of each of %v", pod.Status.PodIPs, want)
	}
	for i, prefix := range want {
		if !netip.MustParsePrefix(prefix).Contains(netip.MustParseAddr(pod.Status.PodIPs[i].IP)) {
			t.Errorf("the pod's address %s is not of %s", pod.Status.PodIPs[i].IP, prefix)
		}
	}
}

// hasRanges says that the node's object tells what its pods' addresses are.
func hasRanges(ctx context.Context, t *testing.T, clients kubernetes.Interface, node string, want []string) {
	t.Helper()
	object, err := clients.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(object.Spec.PodCIDRs, want) || object.Spec.PodCIDR != want[0] {
		t.Errorf("%s has podCIDR %q and podCIDRs %q, want %q", node, object.Spec.PodCIDR, object.Spec.PodCIDRs, want)
	}
}

// reachesFamily tries the way to an address outside the cluster and back.
func reachesFamily(ctx context.Context, t *testing.T, c *cluster.Cluster, pod *corev1.Pod, address netip.Addr) {
	t.Helper()
	outside, err := c.Outside(address)
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	if err := outside.Serve(serving, 443, corev1.ProtocolTCP); err != nil {
		t.Fatal(err)
	}
	expect(ctx, t, c, pod, netip.AddrPortFrom(address, 443).String(), corev1.ProtocolTCP, true)
	for _, ip := range pod.Status.PodIPs {
		if netip.MustParseAddr(ip.IP).Is4() != address.Is4() {
			continue
		}
		if got, err := outside.Probe(ctx, net.JoinHostPort(ip.IP, "8080"), corev1.ProtocolTCP); err != nil || !got {
			t.Errorf("%s from %s: %t, %v", ip.IP, address, got, err)
		}
	}
}

// resolves goes by the cluster's DNS, which is itself a Service, to the Service of the API server.
func resolves(ctx context.Context, t *testing.T, c *cluster.Cluster, pod *corev1.Pod) {
	t.Helper()
	eventually(ctx, t, func() error {
		_, stderr, err := c.Exec(ctx, name(pod), "", "/agnhost", "connect", "--timeout=1s", "kubernetes.default.svc.cluster.local:443")
		if err != nil {
			t.Logf("not yet: %s", stderr)
		}
		return err
	})
}
