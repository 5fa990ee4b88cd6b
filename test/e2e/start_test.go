package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// setOf lists a set of a node's table.
func setOf(ctx context.Context, node, set string) string {
	GinkgoHelper()
	out, err := kube.Command(ctx, node, "nft", "list", "set", "inet", "apptier", set).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return string(out)
}

var _ = Describe("a pod that starts", func() {
	It("has an address of its node's, which is closed until the node's rules are for it", func(ctx context.Context) {
		Expect(setOf(ctx, "n1", "range4")).To(ContainSubstring("10.244.1.0/24"))
		Expect(setOf(ctx, "n2", "range4")).To(ContainSubstring("10.244.2.0/24"))
	})
})
