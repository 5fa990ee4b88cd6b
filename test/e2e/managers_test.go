package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"

	"github.com/apptier/apptier/internal/testenv/manifests"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// managers returns the pods of the manager: two, unless one is being replaced.
func managers(ctx context.Context) []corev1.Pod {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(api.List(ctx, &pods, client.InNamespace(manifests.Namespace), client.MatchingLabels{"app.kubernetes.io/component": "manager"})).To(Succeed())
	Expect(pods.Items).NotTo(BeEmpty())
	return pods.Items
}

func managerRestarts(ctx context.Context) (sum int32) {
	GinkgoHelper()
	for _, pod := range managers(ctx) {
		sum += pod.Status.ContainerStatuses[0].RestartCount
	}
	return sum
}

// servedWith says whether a manager's webhook has a certificate that is signed by an authority.
func servedWith(ctx context.Context, pod *corev1.Pod, authority []byte) error {
	GinkgoHelper()
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM(authority)).To(BeTrue())
	conn, err := kube.Dial(ctx, "cp", "tcp", net.JoinHostPort(pod.Status.PodIP, "9443"))
	if err != nil {
		return err
	}
	defer conn.Close()
	return tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "apptier-webhook-service." + manifests.Namespace + ".svc"}).HandshakeContext(ctx)
}

// serving are the addresses that the API server may call the webhook at.
func serving(ctx context.Context) []string {
	GinkgoHelper()
	var slices discoveryv1.EndpointSliceList
	Expect(api.List(ctx, &slices, client.InNamespace(manifests.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: "apptier-webhook-service"})).To(Succeed())
	var addresses []string
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if ptr.Deref(endpoint.Conditions.Ready, false) {
				addresses = append(addresses, endpoint.Addresses...)
			}
		}
	}
	return addresses
}
