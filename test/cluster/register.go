package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// register makes the object of the i-th node, which its kubelet then makes its own: kubelets do not say
// which addresses their pods have, and the controller manager would hand ranges out in the order in which
// nodes come, though the routes are laid by their numbers. Until the kubelet reports, the node has no room
// for pods.
func (c *Cluster) register(ctx context.Context, i int) error {
	clients, err := c.clientset()
	if err != nil {
		return err
	}
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node(i)}}
	for _, a := range c.state.Shape.plan() {
		object.Spec.PodCIDRs = append(object.Spec.PodCIDRs, a.nodePods(i).String())
	}
	object.Spec.PodCIDR = object.Spec.PodCIDRs[0]
	if _, err := clients.CoreV1().Nodes().Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("register the node: %w", err)
	}
	return nil
}
