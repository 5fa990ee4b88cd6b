package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// lockName is an abstract socket: it belongs to a network namespace, as rules do, so there is one
// for each node; and it ends with its process, whatever ends that: unix(7).
const lockName = "@apptier-enforcer"

// Lock makes this process the only one that writes rules on this node, until it is closed.
func Lock() (io.Closer, error) {
	listener, err := net.Listen("unix", lockName)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, errors.New("another enforcer runs on this node, and writes its rules: stop it first (its DaemonSet, perhaps, or one of another namespace)")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot tell whether another enforcer runs on this node: %w", err)
	}
	return listener, nil
}
