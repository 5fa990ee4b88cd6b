package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/scenario"
)

// Whoever removes apptier has a cluster without it: no rule on any node, no gate that new pods wait at.
var _ = Describe("make undeploy", func() {
	It("removes the rules from every node, and everything else", func(ctx context.Context) {
		const name = "e2e-uninstall"
		Expect(cluster.Down(ctx, name)).To(Or(Succeed(), MatchError(cluster.ErrNotFound)), "what an earlier run left")
		DeferCleanup(func(ctx context.Context) { Expect(cluster.Down(ctx, name)).To(Succeed()) })
		images, err := scenario.Images(ctx)
		Expect(err).NotTo(HaveOccurred())
		other, err := cluster.Up(ctx, cluster.Options{Name: name, Progress: GinkgoWriter})
		Expect(err).NotTo(HaveOccurred())
		Expect(scenario.Install(ctx, other, images)).To(Succeed())
		tables := func(node string) string {
			GinkgoHelper()
			out, err := other.Command(ctx, node, "nft", "list", "tables").CombinedOutput()
			Expect(err).NotTo(HaveOccurred())
			return string(out)
		}
		for _, node := range other.Nodes() {
			Expect(tables(node)).To(ContainSubstring("apptier"))
		}

		root, err := repository.Dir(ctx)
		Expect(err).NotTo(HaveOccurred())
		assets, err := build.Assets(ctx, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		undeploy := exec.CommandContext(ctx, "make", "undeploy", "KUBECTL="+filepath.Join(assets, "kubectl"))
		undeploy.Dir, undeploy.Env = root, append(os.Environ(), "KUBECONFIG="+other.Kubeconfig())
		undeploy.Stdout, undeploy.Stderr = GinkgoWriter, GinkgoWriter
		Expect(undeploy.Run()).To(Succeed())

		for _, node := range other.Nodes() {
			Expect(tables(node)).NotTo(ContainSubstring("apptier"))
		}
		left, err := scenario.Client(other)
		Expect(err).NotTo(HaveOccurred())
		for _, namespace := range []string{manifests.Namespace, manifests.EnforcerNamespace} {
			err := left.Get(ctx, client.ObjectKey{Name: namespace}, &corev1.Namespace{})
			Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%s: %v", namespace, err)
		}
	})
})
