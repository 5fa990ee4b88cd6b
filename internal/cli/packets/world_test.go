package packets_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/internal/cli/packets"
	"github.com/apptier/apptier/policy/reach"
)

// pod is one that runs, with addresses.
func pod(name string, addresses ...string) *corev1.Pod {
	namespace, name, _ := strings.Cut(name, "/")
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, address := range addresses {
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: address})
	}
	if len(addresses) > 0 {
		p.Status.PodIP = addresses[0]
	}
	return p
}

func changed(p *corev1.Pod, change func(*corev1.Pod)) *corev1.Pod {
	change(p)
	return p
}

// standIn is a pod that does not run, with labels as in "app=web".
func standIn(namespace string, labels ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "any pod"}}
	for _, label := range labels {
		key, value, _ := strings.Cut(label, "=")
		p.Name += " " + key
		metav1.SetMetaDataLabel(&p.ObjectMeta, key, value)
	}
	return p
}

func endpoint(text string) reach.Endpoint {
	if address, err := netip.ParseAddr(text); err == nil {
		return reach.Endpoint{Address: address}
	}
	namespace, name, _ := strings.Cut(text, "/")
	return reach.Endpoint{Pod: types.NamespacedName{Namespace: namespace, Name: name}}
}

func flow(from, to string, port int32) reach.Flow {
	return reach.Flow{Source: endpoint(from), Destination: endpoint(to), Protocol: corev1.ProtocolTCP, Port: port}
}

func world() packets.World {
	namespace := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name)}}
	}
	going := namespace("going")
	going.Status.Phase = corev1.NamespaceTerminating
	service := func(name, app string, unready bool) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec: corev1.ServiceSpec{Selector: map[string]string{"app": app}, PublishNotReadyAddresses: unready}}
	}
	return packets.World{
		Pods: []*corev1.Pod{
			pod("shop/web", "10.0.0.1"), pod("shop/api", "10.0.0.2"), pod("shop/both", "10.0.0.3", "fd00::3"), pod("shop/six", "fd00::6"),
			changed(pod("shop/pending"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }),
			changed(pod("shop/leaving", "10.0.0.4"), func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.Now()) }),
			changed(pod("shop/static", "10.0.0.5"), func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "1"} }),
			changed(pod("shop/windows", "10.0.0.6"), func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }),
			changed(pod("shop/sidecar", "10.0.0.7"), func(p *corev1.Pod) {
				p.Spec.InitContainers = []corev1.Container{{Name: "istio-proxy"}}
			}),
			changed(pod("shop/ambient", "10.0.0.8"), func(p *corev1.Pod) {
				p.Annotations = map[string]string{"ambient.istio.io/redirection": "enabled"}
			}),
			changed(pod("shop/tired", "10.0.0.9"), func(p *corev1.Pod) {
				for i := range 20 {
					c := corev1.EphemeralContainer{}
					c.Name = fmt.Sprintf("apptier-test-old-%d", i)
					p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, c)
				}
			}),
			changed(pod("shop/host", "192.168.0.1"), func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
			pod("far/visitor", "10.0.1.1"),
			standIn("shop"), standIn("shop", "app=web"), standIn("shop", "app=job"), standIn("shop", "app=peer"), standIn("shop", "app=plain"),
			standIn("nowhere"), standIn("going"), standIn("far"),
		},
		Namespaces: []*corev1.Namespace{namespace("shop"), namespace("far"), going, {ObjectMeta: metav1.ObjectMeta{Name: "nowhere"}}},
		Services:   []*corev1.Service{service("peers", "peer", true), service("plain", "plain", false)},
		Within:     map[string]bool{"shop": true, "nowhere": true, "going": true},
		Timeout:    3 * time.Second,
	}
}
