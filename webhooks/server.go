package webhooks

import (
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// NewServer returns a server that webhooks may be registered at while it starts. A DefaultServer sets
// its defaults with the first registration or when it starts, whichever comes first, and what asks for
// its mux in between reads them without a lock: so they are set here.
func NewServer(options webhook.Options) webhook.Server {
	server := webhook.NewServer(options)
	server.Register("/", http.NotFoundHandler())
	return server
}
