package expand_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/model"
)

// A Service's target port that is a name leads to ports that an endpoint listens on: those of containers
// and sidecars of pods that have not finished.
func TestTargetPortsAreThoseOfRunningContainers(t *testing.T) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "api"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "api"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}}},
	}
	container := func(port int32) corev1.Container {
		return corev1.Container{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: port}}}
	}
	sidecar := container(8081)
	sidecar.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	pod := func(phase corev1.PodPhase, init []corev1.Container, containers ...corev1.Container) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Labels: map[string]string{"app": "api"}},
			Spec:       corev1.PodSpec{InitContainers: init, Containers: containers}, Status: corev1.PodStatus{Phase: phase},
		}
	}
	got := expand.ServiceOf(service, []*corev1.Pod{
		pod(corev1.PodRunning, []corev1.Container{container(9999), sidecar}, container(8080)),
		pod(corev1.PodSucceeded, nil, container(7777)),
		pod(corev1.PodFailed, nil, container(6666)),
	}).TargetPorts
	want := []model.Port{{Protocol: corev1.ProtocolTCP, Start: 8080}, {Protocol: corev1.ProtocolTCP, Start: 8081}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
