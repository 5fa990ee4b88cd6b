package patterns_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/patterns"
	"github.com/apptier/apptier/test/scenario"
)

// name is the name of the tests' cluster, so that others can be up beside it.
const name = "patterns"

// lab is a cluster with apptier and every pod and outside address that any table has: a pod is made
// once, and gets the labels that each table wants of it.
type lab struct {
	kube    *cluster.Cluster
	api     client.Client
	pods    map[types.NamespacedName]*corev1.Pod
	outside map[netip.Addr]*cluster.Outside
}

// port is what someone listens on.
type port struct {
	number   int32
	protocol corev1.Protocol
}

func newLab(t *testing.T, all []patterns.Pattern) *lab {
	t.Helper()
	ctx := t.Context()
	if err := cluster.Down(ctx, name); err != nil { // what an earlier run left
		t.Fatal(err)
	}
	images, err := scenario.Images(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Down(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	l := &lab{pods: map[types.NamespacedName]*corev1.Pod{}, outside: map[netip.Addr]*cluster.Outside{}}
	if l.kube, err = cluster.Up(ctx, cluster.Options{Name: name, Progress: t.Output()}); err != nil {
		t.Fatal(err)
	}
	if l.api, err = scenario.Client(l.kube); err != nil {
		t.Fatal(err)
	}
	if err := scenario.Install(ctx, l.kube, images); err != nil {
		t.Fatal(err)
	}
	if err := l.populate(ctx, listeners(t, all)); err != nil {
		t.Fatal(err)
	}
	return l
}

// listeners are the pods and IPv4 addresses of all tables, and the ports that any table tries of them.
func listeners(t *testing.T, all []patterns.Pattern) map[patterns.End]map[port]bool {
	t.Helper()
	found := map[patterns.End]map[port]bool{}
	listen := func(end patterns.End, ports ...port) {
		if found[end] == nil {
			found[end] = map[port]bool{}
		}
		for _, p := range ports {
			found[end][p] = true
		}
	}
	for _, p := range all {
		for _, check := range checks(t, p.Table, p.Table.Allow, p.Table.Deny) {
			for _, end := range []patterns.End{check.From, check.To} {
				if end.Word == "" && !end.Address.Is6() {
					listen(end)
				}
			}
			if check.To.Word == "" && !check.To.Address.Is6() {
				listen(check.To, port{check.Port, check.Protocol})
			}
		}
	}
	return found
}

// populate makes all pods and addresses, and waits until they listen.
func (l *lab) populate(ctx context.Context, listeners map[patterns.End]map[port]bool) error {
	ends := slices.SortedFunc(maps.Keys(listeners), func(a, b patterns.End) int { return strings.Compare(a.String(), b.String()) })
	namespaces := map[string]bool{}
	for i, end := range ends {
		ports := listeners[end]
		if end.Address.IsValid() {
			if err := l.addOutside(ctx, end.Address, ports); err != nil {
				return err
			}
			continue
		}
		if !namespaces[end.Pod.Namespace] {
			namespaces[end.Pod.Namespace] = true
			if err := scenario.CreateNamespace(ctx, l.api, end.Pod.Namespace); err != nil {
				return err
			}
		}
		pod := newPod(end.Pod, l.kube.Nodes()[i%2], ports)
		if err := l.api.Create(ctx, pod); err != nil {
			return err
		}
		l.pods[end.Pod] = pod
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, pod := range l.pods {
		group.Go(func() error { return l.awaitReady(ctx, pod) })
	}
	return group.Wait()
}

func (l *lab) addOutside(ctx context.Context, address netip.Addr, ports map[port]bool) error {
	outside, err := l.kube.Outside(address)
	if err != nil {
		return err
	}
	l.outside[address] = outside
	for p := range ports {
		if err := outside.Serve(ctx, p.number, p.protocol); err != nil {
			return err
		}
	}
	return nil
}

// newPod is a pod that listens on ports, and is ready when it does.
func newPod(name types.NamespacedName, node string, ports map[port]bool) *corev1.Pod {
	container := corev1.Container{Name: "agnhost", Image: build.AgnhostImage, Args: []string{"porter"}}
	for _, p := range slices.SortedFunc(maps.Keys(ports), func(a, b port) int { return int(a.number - b.number) }) {
		container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprintf("SERVE_%s_PORT_%d", p.protocol, p.number), Value: "hello"})
		if p.protocol == corev1.ProtocolTCP {
			container.ReadinessProbe = probe(p.number)
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
		Spec: corev1.PodSpec{
			NodeName:                      node,
			TerminationGracePeriodSeconds: ptr.To(int64(0)),
			AutomountServiceAccountToken:  ptr.To(false),
			Containers:                    []corev1.Container{container},
		},
	}
}

func probe(port int32) *corev1.Probe {
	return &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(port)}}}
}

func (l *lab) awaitReady(ctx context.Context, pod *corev1.Pod) error {
	return poll(ctx, fmt.Sprintf("pod %s/%s is ready", pod.Namespace, pod.Name), func(ctx context.Context) (bool, error) {
		err := l.api.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}), err
	})
}

// furnish gives pods and namespaces the labels that a table wants, and the others none.
func (l *lab) furnish(ctx context.Context, table patterns.Table) error {
	var namespaces corev1.NamespaceList
	if err := l.api.List(ctx, &namespaces); err != nil {
		return err
	}
	for i := range namespaces.Items {
		namespace := &namespaces.Items[i]
		if !slices.ContainsFunc(slices.Collect(maps.Keys(l.pods)), func(n types.NamespacedName) bool { return n.Namespace == namespace.Name }) {
			continue
		}
		labels := map[string]string{corev1.LabelMetadataName: namespace.Name}
		maps.Copy(labels, table.Namespaces[namespace.Name])
		if err := l.relabel(ctx, namespace, labels); err != nil {
			return err
		}
	}
	for name, pod := range l.pods {
		if err := l.relabel(ctx, pod, table.Pods[name.String()]); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) relabel(ctx context.Context, object client.Object, labels map[string]string) error {
	if maps.Equal(object.GetLabels(), labels) {
		return nil
	}
	before := object.DeepCopyObject().(client.Object)
	object.SetLabels(maps.Clone(labels))
	return l.api.Patch(ctx, object, client.MergeFrom(before))
}

// poll waits for up to a minute.
func poll(ctx context.Context, what string, ask func(context.Context) (bool, error)) error {
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, ask); err != nil {
		return fmt.Errorf("waiting until %s: %w", what, err)
	}
	return nil
}
