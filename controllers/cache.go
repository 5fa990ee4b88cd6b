package controllers

import (
	"unique"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
)

// CacheOptions keep in memory only what this package and the webhooks read.
func CacheOptions() cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:                   {Transform: trimPod},
			&corev1.Node{}:                  {Transform: trimNode},
			&v1alpha1.StagedNetworkPolicy{}: {Transform: trimStaged},
			&admissionv1.ValidatingWebhookConfiguration{}: {Transform: trimValidating},
			&admissionv1.MutatingWebhookConfiguration{}:   {Transform: trimMutating},
			&discoveryv1.EndpointSlice{}: {
				Namespaces: map[string]cache.Config{kube.APIServer.Namespace: {}},
				Label:      labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: kube.APIServer.Name}),
			},
		},
	}
}

// trimPod keeps what decides which policies a pod meets and on which node, what its ports are called, whether it
// resolves names in the cluster, and where it is probed.
func trimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	trimmed := &corev1.Pod{
		ObjectMeta: trimMeta(pod.ObjectMeta),
		Spec: corev1.PodSpec{
			HostNetwork: pod.Spec.HostNetwork, DNSPolicy: pod.Spec.DNSPolicy,
			NodeName: unique.Make(pod.Spec.NodeName).Value(), // a node has many pods
		},
		Status: corev1.PodStatus{Phase: pod.Status.Phase, PodIPs: pod.Status.PodIPs},
	}
	trimmed.Labels = pod.Labels
	// kube.Finished needs these.
	trimmed.DeletionTimestamp, trimmed.DeletionGracePeriodSeconds, trimmed.Finalizers = pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds, pod.Finalizers
	trimmed.Spec.InitContainers = trimContainers(pod.Spec.InitContainers)
	trimmed.Spec.Containers = trimContainers(pod.Spec.Containers)
	return trimmed, nil
}

func trimContainers(containers []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for _, container := range containers {
		trimmed := corev1.Container{
			Ports: container.Ports, RestartPolicy: container.RestartPolicy,
			StartupProbe: trimProbe(container.StartupProbe), ReadinessProbe: trimProbe(container.ReadinessProbe), LivenessProbe: trimProbe(container.LivenessProbe),
		}
		if len(trimmed.Ports) > 0 || trimmed.StartupProbe != nil || trimmed.ReadinessProbe != nil || trimmed.LivenessProbe != nil {
			out = append(out, trimmed)
		}
	}
	return out
}

// trimProbe keeps where a probe connects to; nil if it does not.
func trimProbe(probe *corev1.Probe) *corev1.Probe {
	switch {
	case probe == nil:
		return nil
	case probe.HTTPGet != nil:
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: probe.HTTPGet.Host, Port: probe.HTTPGet.Port}}}
	case probe.TCPSocket != nil, probe.GRPC != nil:
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: probe.TCPSocket, GRPC: probe.GRPC}}
	default:
		return nil
	}
}

// trimStaged keeps of hand-written staged policies that they are there: anyone may write many, and large ones.
func trimStaged(object any) (any, error) {
	policy, ok := object.(*v1alpha1.StagedNetworkPolicy)
	if !ok {
		return object, nil
	}
	policy.ManagedFields = nil
	if v1alpha1.OwnerOf(policy) == "" {
		policy.ObjectMeta, policy.Spec = trimMeta(policy.ObjectMeta), networkingv1.NetworkPolicySpec{}
	}
	return policy, nil
}

func trimNode(object any) (any, error) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	return &corev1.Node{ObjectMeta: trimMeta(node.ObjectMeta), Status: corev1.NodeStatus{Addresses: node.Status.Addresses}}, nil
}

// trimValidating keeps which Services are called, as trimMutating does.
func trimValidating(object any) (any, error) {
	configuration, ok := object.(*admissionv1.ValidatingWebhookConfiguration)
	if !ok {
		return object, nil
	}
	trimmed := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: trimMeta(configuration.ObjectMeta)}
	for _, webhook := range configuration.Webhooks {
		trimmed.Webhooks = append(trimmed.Webhooks, admissionv1.ValidatingWebhook{ClientConfig: trimClientConfig(webhook.ClientConfig)})
	}
	return trimmed, nil
}

func trimMutating(object any) (any, error) {
	configuration, ok := object.(*admissionv1.MutatingWebhookConfiguration)
	if !ok {
		return object, nil
	}
	trimmed := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: trimMeta(configuration.ObjectMeta)}
	for _, webhook := range configuration.Webhooks {
		trimmed.Webhooks = append(trimmed.Webhooks, admissionv1.MutatingWebhook{ClientConfig: trimClientConfig(webhook.ClientConfig)})
	}
	return trimmed, nil
}

func trimClientConfig(config admissionv1.WebhookClientConfig) admissionv1.WebhookClientConfig {
	return admissionv1.WebhookClientConfig{Service: config.Service}
}

func trimMeta(meta metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: meta.Name, Namespace: meta.Namespace, UID: meta.UID, ResourceVersion: meta.ResourceVersion,
		DeletionTimestamp: meta.DeletionTimestamp,
	}
}
