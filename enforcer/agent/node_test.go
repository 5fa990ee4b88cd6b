package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/apptier/apptier/enforcer/health"
)

// holds tells whether a set of the kernel has an element.
func (f *faulty) holds(set, element string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.Table.Sets[set]
	return s != nil && s.FindElement(element) != nil
}

// A node whose object is deleted still runs: its pods, also those that the API server removes with it, must
// not be open for that. This holds for an agent that starts meanwhile, and ends when the object is back.
func TestADeletedNodeStaysWhatItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ranges, address, node = "10.0.0.0-10.0.0.255", "10.0.0.1", "192.0.2.7"
		kernel := newFaulty()
		object := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24"}},
			Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeExternalIP, Address: node}}},
		}
		client := fake.NewClientset(object, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.PodSpec{NodeName: "node"},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address},
		})
		report, stop := start(t, client, kernel)
		closed := func() bool {
			return kernel.holds("range4", ranges) && !kernel.holds("known4", address) && kernel.holds("node4", node)
		}
		if !kernel.holds("known4", address) || len(report.Problems(time.Now())) != 0 {
			t.Fatalf("%v\n%s", report.Problems(time.Now()), kernel.Dump())
		}

		must(t, client.CoreV1().Nodes().Delete(t.Context(), "node", metav1.DeleteOptions{}))
		must(t, client.CoreV1().Pods("shop").Delete(t.Context(), "web", metav1.DeleteOptions{}))
		if synctest.Wait(); !closed() {
			t.Errorf("open after the node was deleted:\n%s", kernel.Dump())
		}
		if got := report.Problems(time.Now()); len(got) != 1 || got[0].Reason != nodeMissing || got[0].Severity != health.Warning {
			t.Errorf("problems: %v", got)
		}
		stop()
		report, stop = start(t, client, kernel)
		if !closed() || len(report.Problems(time.Now())) != 1 {
			t.Errorf("open after a restart without the node: %v\n%s", report.Problems(time.Now()), kernel.Dump())
		}

		object.Spec.PodCIDRs = []string{"10.0.7.0/24"}
		_, err := client.CoreV1().Nodes().Create(t.Context(), object, metav1.CreateOptions{})
		must(t, err)
		if synctest.Wait(); kernel.holds("range4", ranges) || !kernel.holds("range4", "10.0.7.0-10.0.7.255") || len(report.Problems(time.Now())) != 0 {
			t.Errorf("not what the object says: %v\n%s", report.Problems(time.Now()), kernel.Dump())
		}
		stop()
	})
}

// start runs an agent until all is quiet, and until stop.
func start(t *testing.T, client kubernetes.Interface, kernel *faulty) (report *health.Report, stop func()) {
	t.Helper()
	report = &health.Report{}
	a, err := New(Options{Node: "node", Client: client, Kernel: kernel, Health: report, Log: logr.Discard()})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Run(ctx)
	}()
	synctest.Wait()
	return report, func() {
		cancel()
		<-done
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Ranges that the network plugin does not give addresses from close nobody: that is said, while it is so.
func TestRangesThatPodsHaveNoAddressesOfAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24"}}}
		client := fake.NewClientset(object)
		report, stop := start(t, client, newFaulty())
		defer stop()
		for _, test := range []struct {
			address, node string
			problems      int
		}{{"10.0.0.2", "node", 0}, {"172.16.0.2", "elsewhere", 0}, {"172.16.0.3", "node", 1}} {
			_, err := client.CoreV1().Pods("shop").Create(t.Context(), &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: test.address}, Spec: corev1.PodSpec{NodeName: test.node},
				Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: test.address},
			}, metav1.CreateOptions{})
			must(t, err)
			synctest.Wait()
			if got := report.Problems(time.Now()); len(got) != test.problems || len(got) > 0 && got[0].Reason != rangesMismatch {
				t.Errorf("after %s of %s: %v", test.address, test.node, got)
			}
		}
		must(t, client.CoreV1().Pods("shop").Delete(t.Context(), "172.16.0.3", metav1.DeleteOptions{}))
		if synctest.Wait(); len(report.Problems(time.Now())) != 0 {
			t.Errorf("still: %v", report.Problems(time.Now()))
		}
	})
}
