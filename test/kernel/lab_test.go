package kernel

import (
	"testing"

	"github.com/apptier/apptier/test/lab"
)

// labNode is a lab with what the tests of this package do to it.
type labNode struct{ *lab.Lab }

// newLab builds a lab, which is taken down with the test.
func newLab(t testing.TB, wire lab.Wiring) labNode {
	t.Helper()
	return labNode{lab.New(t, wire)}
}
