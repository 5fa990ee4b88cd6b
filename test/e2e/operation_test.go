package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"

	"github.com/apptier/apptier/internal/testenv/manifests"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// get asks a server that a machine of the cluster can reach.
func get(ctx context.Context, machine, url string) (int, string) {
	GinkgoHelper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return kube.Dial(ctx, machine, network, address)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the metrics' certificate is the manager's own
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	Expect(err).NotTo(HaveOccurred())
	response, err := (&http.Client{Transport: transport}).Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return response.StatusCode, string(body)
}

var _ = Describe("what an operator looks at", func() {
	It("has one leader among the managers", func(ctx context.Context) {
		Eventually(func(g Gomega) { // the one before may just have given the lease back
			var lease coordinationv1.Lease
			g.Expect(api.Get(ctx, client.ObjectKey{Namespace: manifests.Namespace, Name: "manager.policy.apptier.dev"}, &lease)).To(Succeed())
			g.Expect(lease.Spec.HolderIdentity).To(HaveValue(ContainSubstring("apptier-manager")))
		}, catchesUp, "100ms").Should(Succeed())
	})

	It("shows an enforcer's metrics on its node", func(ctx context.Context) {
		status, body := get(ctx, "n1", "http://127.0.0.1:9808/metrics")
		Expect(status).To(Equal(http.StatusOK))
		Expect(body).To(And(ContainSubstring("apptier_enforcer_sync_duration_seconds_count"), ContainSubstring("apptier_enforcer_pods ")))
	})

	It("proves that what each kernel lets through is what the policies allow", func(ctx context.Context) {
		for _, node := range kube.Nodes() {
			Eventually(func(g Gomega) { // the enforcer may be behind by a moment
				pod := enforcerOn(ctx, node)
				out, stderr, err := kube.Exec(ctx, client.ObjectKeyFromObject(&pod), "enforcer", "/enforcer", "dump", "--prove")
				g.Expect(err).NotTo(HaveOccurred(), out+stderr)
				g.Expect(out).To(ContainSubstring("let through exactly what the policies allow"))
			}, catchesUp, "500ms").Should(Succeed(), node)
		}
	})

	It("shows the manager's metrics to those alone who may see them", func(ctx context.Context) {
		for _, pod := range managers(ctx) {
			status, _ := get(ctx, pod.Spec.NodeName, "https://"+net.JoinHostPort(pod.Status.PodIP, "8443")+"/metrics")
			Expect(status).To(Equal(http.StatusUnauthorized))
		}
	})
})
