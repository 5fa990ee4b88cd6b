// Package control is what a node's init and the cluster package say to each other over a Unix socket:
// one JSON request and one JSON response a connection. Standard library only, because the init is built
// anew on every machine.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// Socket is the name of the init's socket in a node's state folder.
const Socket = "init.sock"

// Operations of a Request.
const (
	// Start starts a process by its Spec, or, with a name alone, the one last known by that name.
	Start = "start"
	// Stop ends a process: SIGTERM, then SIGKILL after the grace period.
	Stop = "stop"
	// Signal sends a signal and waits for nothing.
	Signal = "signal"
	// List asks for the state of every process.
	List = "list"
)

// Spec says how to start one process.
type Spec struct {
	Name string   `json:"name"`
	Argv []string `json:"argv,omitempty"`
	Env  []string `json:"env,omitempty"`
	// Log is the file, as the node sees it, that gets standard output and error.
	Log string `json:"log,omitempty"`
}

// Request asks an init for one operation.
type Request struct {
	Op     string        `json:"op"`
	Spec   Spec          `json:"spec"`
	Signal int           `json:"signal,omitempty"`
	Grace  time.Duration `json:"grace,omitempty"`
}

// Process is the state of one process of a node.
type Process struct {
	Name    string    `json:"name"`
	PID     int       `json:"pid,omitempty"` // as the node sees it
	Running bool      `json:"running"`
	Exit    string    `json:"exit,omitempty"` // how it ended, in words
	Since   time.Time `json:"since"`          // when it started, or when it ended
}

// Response answers a Request.
type Response struct {
	Error     string    `json:"error,omitempty"`
	Processes []Process `json:"processes,omitempty"`
}

// Call sends a request to the init behind a socket and waits for its answer.
func Call(ctx context.Context, socket string, request Request) ([]Process, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("reach the node's init: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return nil, fmt.Errorf("ask the node's init: %w", err)
	}
	var response Response
	if err := json.NewDecoder(conn).Decode(&response); err != nil {
		return nil, fmt.Errorf("read the answer of the node's init: %w", errors.Join(err, ctx.Err()))
	}
	if response.Error != "" {
		return nil, errors.New(response.Error)
	}
	return response.Processes, nil
}
