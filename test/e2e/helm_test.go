package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/scenario"
)

// Whoever installs with Helm has all that works running, and can be rid of it.
var _ = Describe("the Helm chart", func() {
	It("installs, says that it works, takes the rules off the nodes, and goes", func(ctx context.Context) {
		const name = "e2e-helm"
		Expect(cluster.Down(ctx, name)).To(Or(Succeed(), MatchError(cluster.ErrNotFound)), "what an earlier run left")
		DeferCleanup(func(ctx context.Context) { Expect(cluster.Down(ctx, name)).To(Succeed()) })
		images, err := scenario.Images(ctx)
		Expect(err).NotTo(HaveOccurred())
		other, err := cluster.Up(ctx, cluster.Options{Name: name, Progress: GinkgoWriter})
		Expect(err).NotTo(HaveOccurred())
		Expect(other.Load(ctx, images...)).To(Succeed())
		directory, err := repository.Dir(ctx)
		Expect(err).NotTo(HaveOccurred())
		home := GinkgoT().TempDir()
		helm := func(args ...string) {
			GinkgoHelper()
			args = append([]string{"tool", "-modfile=tools/go.mod", "helm"}, args...)
			command := exec.CommandContext(ctx, "go", append(args, "--namespace", manifests.Namespace, "--kubeconfig", other.Kubeconfig())...)
			command.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
			command.Dir, command.Stdout, command.Stderr = directory, GinkgoWriter, GinkgoWriter
			Expect(command.Run()).To(Succeed(), strings.Join(args, " "))
		}
		chart := filepath.Join("charts", "apptier")
		tables := func(node string) string {
			GinkgoHelper()
			out, err := other.Command(ctx, node, "nft", "list", "tables").CombinedOutput()
			Expect(err).NotTo(HaveOccurred())
			return string(out)
		}

		helm("install", "apptier", chart, "--create-namespace", "--wait", "--timeout", "5m")
		helm("test", "apptier")
		for _, node := range other.Nodes() {
			Expect(tables(node)).To(ContainSubstring("apptier"))
		}
		helm("upgrade", "apptier", chart, "--reuse-values", "--set", "enforcer.cleanup=true", "--wait", "--timeout", "5m")
		for _, node := range other.Nodes() {
			Expect(tables(node)).NotTo(ContainSubstring("apptier"))
		}
		helm("uninstall", "apptier", "--wait", "--timeout", "5m")
	})
})
