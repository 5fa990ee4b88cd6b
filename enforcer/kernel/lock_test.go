package kernel

import (
	"io"
	"strings"
	"testing"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/test/network"
)

// Two agents on one node would undo each other's rules for ever; the second one says so.
func TestOneAgentOnANode(t *testing.T) {
	requireKernel(t)
	here, there := newNamespace(t), newNamespace(t)
	var held io.Closer
	must(t, network.In(here, func() (err error) { held, err = agent.Lock(); return err }))
	if err := network.In(here, func() error { _, err := agent.Lock(); return err }); err == nil || !strings.Contains(err.Error(), "another enforcer") {
		t.Errorf("a second agent: %v", err)
	}
	must(t, network.In(there, func() error { another, err := agent.Lock(); _ = another.Close(); return err }))
	must(t, held.Close())
	must(t, network.In(here, func() error { next, err := agent.Lock(); _ = next.Close(); return err }))
}
