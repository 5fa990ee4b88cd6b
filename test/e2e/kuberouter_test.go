package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/scenario"
)

// buildKubeRouter builds kube-router as it is, with the libraries of this project where both use the same.
func buildKubeRouter(ctx context.Context) (program string) {
	GinkgoHelper()
	root, err := repository.Dir(ctx)
	Expect(err).NotTo(HaveOccurred())
	program = filepath.Join(GinkgoT().TempDir(), "kube-router")
	command := exec.CommandContext(ctx, "go", "build", "-modfile="+filepath.Join(root, "tools", "kube-router", "go.mod"), "-trimpath",
		"-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags", "-s -w", "-o", program,
		"github.com/cloudnativelabs/kube-router/v2/cmd/kube-router")
	command.Dir, command.Env = root, append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	out, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return program
}

// startKubeRouter runs its controller of NetworkPolicies, and nothing else of it, on every node until the test ends.
func startKubeRouter(ctx context.Context, on *cluster.Cluster, program string) {
	GinkgoHelper()
	kubeconfig := kubeconfigOnNodes(ctx, on)
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	DeferCleanup(end)
	for _, node := range on.Nodes() {
		router := on.Command(life, node, program, "--run-firewall=true", "--run-router=false", "--run-service-proxy=false",
			"--run-loadbalancer=false", "--enable-cni=false", "--kubeconfig="+kubeconfig, "--hostname-override="+node, "--health-port=0", "--v=1")
		router.Stdout, router.Stderr = GinkgoWriter, GinkgoWriter
		Expect(router.Start()).To(Succeed())
		DeferCleanup(func() { end(); _ = router.Wait() }) // asked to end, which is not its success
	}
}

// kubeconfigOnNodes is a file by which programs on nodes find the API server: at its own address.
func kubeconfigOnNodes(ctx context.Context, on *cluster.Cluster) (file string) {
	GinkgoHelper()
	admin, err := clientcmd.LoadFromFile(on.Kubeconfig())
	Expect(err).NotTo(HaveOccurred())
	api, err := scenario.Client(on)
	Expect(err).NotTo(HaveOccurred())
	var server discoveryv1.EndpointSlice
	Expect(api.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}, &server)).To(Succeed())
	for _, c := range admin.Clusters {
		c.Server = fmt.Sprintf("https://%s:%d", server.Endpoints[0].Addresses[0], *server.Ports[0].Port)
	}
	file = filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(clientcmd.WriteToFile(*admin, file)).To(Succeed())
	return file
}
