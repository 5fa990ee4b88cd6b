// Package e2e tells what a user sees, on a real cluster: the embedded one, with apptier installed
// from config/default.
package e2e

import (
	"context"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/scenario"
)

// name is the name of the tests' cluster, so that a demo can run beside them.
const name = "e2e"

var (
	kube *cluster.Cluster
	api  client.Client
)

func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a cluster, which -short leaves out")
	}
	ctrllog.SetLogger(logr.Discard())
	RegisterFailHandler(Fail)
	RunSpecs(t, "apptier, end to end")
}

var _ = BeforeSuite(func(ctx context.Context) {
	Expect(cluster.Down(ctx, name)).To(Or(Succeed(), MatchError(cluster.ErrNotFound)), "what an earlier run left")
	images, err := scenario.Images(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) { Expect(cluster.Down(ctx, name)).To(Succeed()) })
	kube, err = cluster.Up(ctx, cluster.Options{Name: name, Progress: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	api, err = scenario.Client(kube)
	Expect(err).NotTo(HaveOccurred())
	Expect(scenario.Install(ctx, kube, images)).To(Succeed())
	Expect(scenario.DeployShop(ctx, kube)).To(Succeed())
})
