package webhooks_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/webhooks/probe"
)

// Whether the API server asks is seen from outside, with the webhook and without, and an answer that says neither is an error.
func TestAsked(t *testing.T) {
	g := NewWithT(t)
	asked, err := probe.Asked(t.Context(), newClient(t, startWebhooks(t)), "default")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(asked).To(BeTrue())

	config, _ := apiserver.Start(t)
	asked, err = probe.Asked(t.Context(), newClient(t, config), "default")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(asked).To(BeFalse())
	_, err = probe.Asked(t.Context(), newClient(t, config), "nowhere")
	g.Expect(err).To(MatchError(ContainSubstring("trying an AppTier")))
}
