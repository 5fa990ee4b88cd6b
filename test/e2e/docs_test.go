package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/reader"
	"github.com/apptier/apptier/test/scenario"
)

// age is how old a table says that something is.
var age = regexp.MustCompile(`(?m) +\d+m?\d*s$`)

// Whoever follows the first pages on a cluster sees what they show.
var _ = Describe("the first pages", func() {
	It("do what they say", func(ctx context.Context) {
		root, err := repository.Dir(ctx)
		Expect(err).NotTo(HaveOccurred())
		blocks := func(page string) []reader.Block {
			GinkgoHelper()
			source, err := os.ReadFile(filepath.Join(root, "docs", "start", page))
			Expect(err).NotTo(HaveOccurred())
			return reader.Blocks(source)
		}
		r := reader.Reader{Folder: GinkgoT().TempDir(), Programs: GinkgoT().TempDir(), Kubeconfig: kube.Kubeconfig()}
		Expect(reader.Install(ctx, root, r.Programs)).To(Succeed())
		assets, err := build.Assets(ctx, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.Symlink(filepath.Join(assets, "kubectl"), filepath.Join(r.Programs, "kubectl"))).To(Succeed())
		for _, b := range blocks("plugin.md") {
			if b.File() == "shop.yaml" {
				Expect(r.Save(b)).To(Succeed())
			}
		}

		withoutShop(ctx)
		DeferCleanup(withoutShop)
		ran := 0
		for _, b := range blocks("cluster.md") {
			for _, c := range b.Commands() {
				out, err := r.Run(ctx, c.Line)
				Expect(err).NotTo(HaveOccurred())
				Expect(age.ReplaceAllString(out, "")).To(Equal(age.ReplaceAllString(c.Shown, "")+"\n"), c.Line)
				ran++
			}
		}
		Expect(ran).To(BeNumerically(">=", 3))
	})
})

// withoutShop removes the shop's AppTier, and waits until its policies are gone.
func withoutShop(ctx context.Context) {
	GinkgoHelper()
	app := &v1alpha1.AppTier{}
	app.Namespace, app.Name = scenario.Shop.Namespace, scenario.Shop.Name
	Expect(client.IgnoreNotFound(api.Delete(ctx, app))).To(Succeed())
	Eventually(func() int { return len(shopPolicies(ctx)) }, catchesUp).Should(BeZero())
}
