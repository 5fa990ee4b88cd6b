package kernel

import (
	"io"
	"strings"
	"testing"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// Two agents on one node would undo each other's rules for ever; the second one says so.
func TestOneAgentOnANode(t *testing.T) {
	lab.RequireKernel(t)
	here, there, directory := lab.NewNamespace(t), lab.NewNamespace(t), t.TempDir()
	var held io.Closer
	lab.Must(t, network.In(here, func() (err error) { held, err = agent.Lock(directory); return err }))
	if err := network.In(here, func() error { _, err := agent.Lock(directory); return err }); err == nil || !strings.Contains(err.Error(), "another enforcer") {
		t.Errorf("a second agent: %v", err)
	}
	lab.Must(t, network.In(there, func() error { another, err := agent.Lock(directory); _ = another.Close(); return err }))
	lab.Must(t, held.Close())
	lab.Must(t, network.In(here, func() error { next, err := agent.Lock(directory); _ = next.Close(); return err }))
}
